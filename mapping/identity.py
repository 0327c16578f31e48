"""What a row is known by in BigQuery, and nothing else of it: reading that alone of many rows is cheap."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from config.settings import TableSettings
from delivery.old_rows import Identities
from delivery.rows import Key, SentRow
from mapping.compile import TableMapping, compile_mapping
from mapping.row import BadRow
from mapping.schema import BigQueryTable, SourceTable


def compile_identity(
    name: str,
    settings: TableSettings,
    source: SourceTable,
    destination: BigQueryTable,
    zone: ZoneInfo | None,
    site_id: str,
    also: Collection[str] = (),
) -> TableMapping:
    """The mapping, as `compile_mapping` makes it, of the identity and partitioning columns alone.

    Args:
        also: further columns of BigQuery's table that are read.

    Raises:
        MappingError: with everything that is wrong with these.
    """
    wanted = {*settings.identity_columns, destination.partition_column, *also}
    return compile_mapping(
        name,
        settings.model_copy(
            update={
                "columns": {column: origin for column, origin in settings.columns.items() if column in wanted},
                "identity": settings.identity_columns,
            }
        ),
        source,
        replace(
            destination,
            columns={column: described for column, described in destination.columns.items() if column in wanted},
        ),
        zone,
        site_id,
    )


def identities(mapping: TableMapping) -> Identities:
    """How it reads what a row is known by; a row that BigQuery couldn't have taken as it is has nothing."""

    def read(values: Sequence[object]) -> SentRow | None:
        try:
            row = mapping.row(values)
        except BadRow:
            return None
        key: Key = values[0]  # type: ignore[assignment]  # the key stands first, and is an integer or a text
        return SentRow(key, row.identity, row.partition)

    return Identities(mapping.identity_columns, mapping.partition_column, read)
