"""Giving a table that holds rows another shape, in place, in steps of which each can be repeated.

Most changes of a column's type copy the table and hold up its writers. So a column that doesn't fit is renamed to
`former_...` and a new one put in its place, then filled from it row by row, then the former one is dropped: all of
that the server can do while others write. What was done can be seen in the catalogue, so a cut is no harm:

1. one ALTER: rename, replace, add (`begin`)
2. fill the new columns from the former ones (the caller's UPDATE)
3. one ALTER for the indexes, one that drops the former columns (`finish`)
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from database.identifiers import quote

FORMER = "former_"

_TYPE = re.compile(
    r"\w+(\((?:'(?:[^']|'')*'|[^')])*\))?( unsigned)?( zerofill)?( CHARACTER SET \w+)?( COLLATE \w+)?", re.IGNORECASE
)
_KEY = re.compile(r"(?:UNIQUE |FULLTEXT |SPATIAL )?KEY `(?P<name>[^`]+)` \((?P<columns>.+)\)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's definition without its name, as in SHOW CREATE TABLE, and its collation if it holds text."""

    definition: str
    collation: str | None = None

    @property
    def counts_up(self) -> bool:
        return "auto_increment" in self.definition.lower()

    @property
    def is_datetime(self) -> bool:
        return self.definition.lower().startswith("datetime")

    @property
    def needs_value(self) -> bool:
        """An INSERT has to name it."""
        rest = self.definition.lower()
        return "not null" in rest and not any(word in rest for word in ("default", "auto_increment", "generated"))

    @property
    def loosened(self) -> str:
        """The same type, for a column that nobody writes any longer."""
        matched = _TYPE.match(self.definition)
        return f"{matched[0] if matched else self.definition} NULL"

    def fits(self, other: "Column") -> bool:
        return self._canonical() == other._canonical()

    def _canonical(self) -> str:
        """Without what differs between servers and doesn't matter: quotes, widths of integers, spelling of NULL."""
        shape = self.definition.lower().replace("'", "").replace("()", "")
        shape = re.sub(r"\b(tinyint|int|bigint)\(\d+\)", r"\1", shape)
        shape = re.sub(r" character set \w+| collate \w+| default null|(?<!not) null\b", "", shape)
        plain = self.collation is None or (
            self.collation.startswith("utf8mb4_") and not self.collation.endswith("_bin")
        )
        return shape if plain else f"{shape} collate {self.collation}"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns and its indexes but the primary key, each as the text that makes it, by name."""

    columns: Mapping[str, Column]
    indexes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A column that was replaced: its name before, while the new one is filled, and what it is."""

    before: str
    former: str
    column: Column


@dataclass(frozen=True, slots=True)
class Reshape:
    """What is left to do, by where the table is; empty clauses mean that nothing is."""

    begin: str
    replaced: Mapping[str, Replaced]  # by the new column
    change_indexes: str
    drop_columns: str


def read_shape(connection: Connection, table: str) -> Shape:
    """The shape of a table that exists."""
    _, statement = connection.execute(text(f"SHOW CREATE TABLE {quote(table)}")).one()
    found = connection.execute(
        text(
            "SELECT column_name AS name, collation_name AS collation FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = :table"
        ),
        {"table": table},
    )
    collations: dict[str, str | None] = {row.name: row.collation for row in found}
    columns: dict[str, Column] = {}
    indexes: dict[str, str] = {}
    for line in statement.splitlines()[1:]:
        definition = line.strip().removesuffix(",")
        if definition.startswith("`"):
            name, _, rest = definition[1:].partition("` ")
            columns[name] = Column(rest, collations[name])
        elif key := _KEY.match(definition):
            indexes[key["name"]] = definition
    return Shape(columns, indexes)


def plan_reshape(
    now: Shape, wanted: Shape, sources: Mapping[str, str], surplus: Collection[str] = frozenset()
) -> Reshape:
    """How to get from one shape to the other.

    Args:
        sources: where a wanted column had another name: {wanted: its name until now}.
        surplus: columns and indexes to drop at the end. Others that aren't wanted stay; an INSERT needn't name them.
    """
    begin: list[str] = []
    replaced: dict[str, Replaced] = {}
    going = {name for name in surplus if name in now.columns}
    for name, column in wanted.columns.items():
        names = [name, sources.get(name, name)]
        former = next((FORMER + old for old in names if FORMER + old in now.columns), None)
        source = next((old for old in names if old in now.columns), None)
        if former is not None:
            replaced[name] = Replaced(former, former, now.columns[former])
            going.add(former)
        elif source is None:
            begin.append(f"ADD COLUMN {quote(name)} {column.definition}")
        elif column.counts_up or now.columns[source].fits(column):
            if source != name:
                begin.append(f"RENAME COLUMN {quote(source)} TO {quote(name)}")
        else:
            former = FORMER + source
            begin.append(f"CHANGE COLUMN {quote(source)} {quote(former)} {now.columns[source].loosened}")
            begin.append(f"ADD COLUMN {quote(name)} {column.definition}")
            replaced[name] = Replaced(source, former, now.columns[source])
            going.add(source)
    kept = now.columns.keys() - wanted.columns.keys() - set(sources.values()) - going
    begin += [
        f"MODIFY COLUMN {quote(name)} {now.columns[name].loosened}"
        for name in sorted(kept)
        if now.columns[name].needs_value
    ]
    outdated = [name for name, index in now.indexes.items() if name in surplus or _uses(index, going)]
    missing = [index for name, index in wanted.indexes.items() if name not in now.indexes or name in outdated]
    dropped = [each.former for each in replaced.values()] + [name for name in surplus if name in now.columns]
    return Reshape(
        begin=", ".join(begin),
        replaced=replaced,
        change_indexes=", ".join(
            [f"DROP INDEX {quote(name)}" for name in outdated] + [f"ADD {one}" for one in missing]
        ),
        drop_columns=", ".join(f"DROP COLUMN {quote(name)}" for name in dropped),
    )


def _uses(index: str, columns: Collection[str]) -> bool:
    matched = _KEY.match(index)
    return matched is not None and any(quote(name) in matched["columns"] for name in columns)
