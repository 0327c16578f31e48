"""What a source table lacks: the flag column, and an index that finds the rows whose flag is FALSE.

Everything that is added carries MARK as its comment, and is noted in bq_sync_table before. The note comes first, so
that a crash can't lose it; the mark comes with the change itself, so that on the way down nothing is taken for ours
that somebody else made after a note was written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, inspect, text

from config.settings import Settings
from database.catalogue import TableSize, read_source_table, table_size
from database.changes import INSTANT, ONLINE, Changes
from database.identifiers import quote, quote_text
from mapping.schema import MARK, SourceTable

History = Literal["send", "skip"]

INDEX = "bq_sync_flag"


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What one table lacks. `unfinished`: its flag column was being added when `migrate` was cut."""

    table: str
    flag: str
    add_flag: bool
    unfinished: bool
    add_index: bool
    size: TableSize | None  # of a table that holds rows, where the flag is to be added

    @property
    def needs_history(self) -> bool:
        return self.size is not None

    @property
    def note(self) -> dict[str, str]:
        added = {"column": self.flag} if self.add_flag else {}
        return added | ({"index": INDEX} if self.add_index else {})


def find_changes(connection: Connection, settings: Settings) -> tuple[Sequence[SourceChange], Sequence[str]]:
    """What the configured tables lack, and what stands in the way, in words."""
    changes: list[SourceChange] = []
    problems: list[str] = []
    for name, table in settings.tables.items():
        source = read_source_table(connection, name)
        if source is None:
            problems.append(f"{name}: the database has no such table: create it, or take it out of `tables`")
        elif source.engine.lower() != "innodb":
            problems.append(
                f"{name}: its engine is {source.engine}: bq-sync needs InnoDB (ALTER TABLE ... ENGINE=InnoDB)"
            )
        elif table.synced_flag is not None:
            change = _lacking(connection, source, table.synced_flag)
            if change.add_flag or change.add_index:
                changes.append(change)
    return changes, problems


def _lacking(connection: Connection, source: SourceTable, flag: str) -> SourceChange:
    # Names of columns have no case.
    there = next((column for name, column in source.columns.items() if name.lower() == flag.lower()), None)
    unfinished = there is not None and source.is_unfinished(there)
    size = None
    if there is None or unfinished:
        holds = table_size(connection, source.name)
        size = holds if holds.rows else None
    return SourceChange(
        table=source.name,
        flag=flag,
        add_flag=there is None or unfinished,
        unfinished=unfinished,
        add_index=source.index_on(flag) is None,
        size=size,
    )


def make_change(changes: Changes, change: SourceChange, history: History | None) -> None:
    """Add what the table lacks, without keeping others from it.

    Rows that are there read FALSE (send) or NULL (skip); every later one FALSE. For that, `skip` takes two ALTERs, as
    a column's default is also what the rows there read: first NULL, then FALSE for the rows to come. No row comes
    between, since the table is locked for the moment that two instant ALTERs take. Cut between them, the column is
    found with our mark and without its default, and is made anew.
    """
    table, flag, mark = change.table, quote(change.flag), f"COMMENT {quote_text(MARK)}"
    changes.explain(f"{table}: adding {', '.join(change.note.values())}")
    changes.execute(_noting(changes.connection, change))
    if change.unfinished:
        changes.alter(table, f"DROP COLUMN {flag}", INSTANT, ONLINE)
    if change.add_flag and change.needs_history and history == "skip":
        changes.alter_at_once(
            table,
            [f"ADD COLUMN {flag} TINYINT(1) NULL DEFAULT NULL {mark}", f"ALTER COLUMN {flag} SET DEFAULT 0"],
        )
    elif change.add_flag:
        changes.alter(table, f"ADD COLUMN {flag} TINYINT(1) NULL DEFAULT 0 {mark}", INSTANT, ONLINE)
    if change.add_index:
        changes.alter(table, f"ADD INDEX {quote(INDEX)} ({flag}) {mark}", ONLINE)


def undo_changes(changes: Changes) -> None:
    """Remove from the source tables what is noted and carries our mark."""
    for table, note in read_notes(changes.connection).items():
        column, index = note.get("column"), note.get("index")
        if index is not None and _has_marked_index(changes.connection, table, index):
            changes.explain(f"{table}: removing the index {index}")
            changes.alter(table, f"DROP INDEX {quote(index)}", ONLINE)
        if column is not None and _has_marked_column(changes.connection, table, column):
            changes.explain(f"{table}: removing the column {column}: which rows were sent is forgotten")
            changes.alter(table, f"DROP COLUMN {quote(column)}", INSTANT, ONLINE)


def read_notes(connection: Connection) -> Mapping[str, Mapping[str, str]]:
    """What `migrate` added to source tables until now: {table: {"column": name, "index": name}}."""
    if not inspect(connection).has_table("bq_sync_table"):
        return {}
    rows = connection.execute(text("SELECT table_name, added FROM bq_sync_table WHERE added IS NOT NULL"))
    # The queue's note is the shape that it had (migrations.former_queue).
    return {table: json.loads(added) for table, added in rows if table != "bq_sync_queue"}


def _noting(connection: Connection, change: SourceChange) -> str:
    note = json.dumps({**read_notes(connection).get(change.table, {}), **change.note})
    values = f"({quote_text(change.table)}, {quote_text(note)})"
    return (
        f"INSERT INTO bq_sync_table (table_name, added) VALUES {values}"  # noqa: S608  quoted
        " ON DUPLICATE KEY UPDATE added = VALUES(added)"
    )


_COLUMN = """
SELECT COUNT(*) FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column AND column_comment = :mark
"""

_INDEX = """
SELECT COUNT(*) FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = :table AND index_name = :index AND index_comment = :mark
"""


def _has_marked_column(connection: Connection, table: str, column: str) -> bool:
    return bool(connection.scalar(text(_COLUMN), {"table": table, "column": column, "mark": MARK}))


def _has_marked_index(connection: Connection, table: str, index: str) -> bool:
    return bool(connection.scalar(text(_INDEX), {"table": table, "index": index, "mark": MARK}))
