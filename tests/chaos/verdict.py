"""Whether each row of a site is in BigQuery once, with its values, and nothing is left to be done."""

from collections.abc import Collection
from contextlib import closing

from sqlalchemy import Engine

from config.settings import Settings
from sandbox.compare import compare
from sandbox.emulator import Emulator


class WrongError(Exception):
    """A row is missing, doubled, different or stuck: says which."""


def judge(engine: Engine, emulator: Emulator, settings: Settings, lost: Collection[str]) -> int:
    """Compare every column of every row; how many rows there are.

    Args:
        lost: ids in BigQuery of rows that were sent and that a restored backup of the database doesn't have.

    Raises:
        WrongError: something isn't as it should be.
    """
    with closing(emulator.client()) as client:
        compared = compare(engine, client, settings)
    for name, table in compared.tables.items():
        place = settings.tables[name].identity_columns.index(settings.tables[name].key_columns[0])
        table.extra = [key for key in table.extra if key[place] not in lost]
    if not compared.equal:
        raise WrongError(compared.report())
    return sum(table.source_rows for table in compared.tables.values())
