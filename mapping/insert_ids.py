"""insertIds: by them BigQuery recognises a row that it got a moment ago."""

import hashlib
from dataclasses import dataclass

import orjson

from delivery.rows import Key


@dataclass(frozen=True, slots=True)
class InsertIds:
    """Those of one site's source table. A row has the same one in every request; no row of another site has it.

    Many sites write to one BigQuery table, and BigQuery drops one of two rows with the same id: `det_1` alone would
    lose rows. An id is a digest of site, table and source key, written as a JSON array, so that no two of them read
    alike whatever is in their names. In hexadecimal, since nothing says whether BigQuery tells capitals apart; of 32
    characters, where it takes 128.
    """

    site_id: str
    table: str

    LENGTH = 32

    def of(self, key: Key) -> str:
        """The insertId of the row with this source key, as the database returned it."""
        return hashlib.sha256(orjson.dumps([self.site_id, self.table, key])).hexdigest()[: self.LENGTH]
