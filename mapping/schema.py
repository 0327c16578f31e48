"""What a mapping is compiled from: the shape of a source table and of a BigQuery table, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MARK = "added by bq-sync"  # the comment of all that `migrate` adds to source tables


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the database's catalogue describes it."""

    name: str
    data_type: str  # information_schema's DATA_TYPE in lower case: bigint, varchar, datetime, enum, longtext ...
    column_type: str  # its COLUMN_TYPE: bigint(20) unsigned, decimal(12,4), enum('a','b') ...
    nullable: bool
    default: str | None = None  # its COLUMN_DEFAULT: 0, b'0', current_timestamp() ...; None: NULL, or none at all
    comment: str = ""
    holds_json: bool = False  # MySQL's JSON type, or MariaDB's LONGTEXT with CHECK (json_valid(column))
    generated: bool = False
    on_update: bool = False  # ON UPDATE CURRENT_TIMESTAMP
    character_set: str | None = None
    collation: str | None = None

    @property
    def is_integer(self) -> bool:
        return self.data_type in {"tinyint", "smallint", "mediumint", "int", "bigint"}

    @property
    def is_unsigned(self) -> bool:
        return "unsigned" in self.column_type

    @property
    def is_string(self) -> bool:
        return self.data_type in {"char", "varchar"}


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A source table as the database's catalogue describes it."""

    name: str
    engine: str
    columns: Mapping[str, SourceColumn]  # by name, in the table's order
    primary_key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # index name: its columns in order
    triggers: tuple[str, ...] = ()  # names of UPDATE triggers

    def index_on(self, column: str) -> str | None:
        """An index that begins with that column."""
        return next((name for name, columns in self.indexes.items() if columns[0].lower() == column.lower()), None)

    def is_unfinished(self, flag: SourceColumn) -> bool:
        """`migrate` was cut while it added this flag for `--history skip`: before its default, and then its index."""
        return flag.comment == MARK and flag.default is None and self.index_on(flag.name) is None


@dataclass(frozen=True, slots=True)
class BigQueryColumn:
    """A column as BigQuery's schema describes it; `type` by its GoogleSQL name (INT64, not INTEGER)."""

    name: str
    type: str
    mode: Literal["NULLABLE", "REQUIRED", "REPEATED"] = "NULLABLE"
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class BigQueryTable:
    """A BigQuery table: its columns and how it is partitioned."""

    name: str
    columns: Mapping[str, BigQueryColumn]  # by name, in the table's order
    partition_column: str | None = None  # None: not partitioned by a column
    expiration_days: float | None = None  # of partitions
    clustering: tuple[str, ...] = ()
