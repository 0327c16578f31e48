"""The proof: reads every source row and every BigQuery row, and says what is missing, doubled, wrong or unfinished.

What BigQuery should hold is worked out here from the configuration file's rules alone, on purpose without the code
that bq-sync itself converts with: an error there shows as a difference here.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from google.cloud.bigquery import DEFAULT_RETRY, Client, SchemaField
from sqlalchemy import Connection, Engine, select, table, text

from config.settings import (
    ColumnOrigin,
    FromColumn,
    FromObject,
    FromTemplate,
    FromValue,
    JsonMember,
    Settings,
    TableSettings,
)

ANSWER_SECONDS = 120
SHOWN = 5  # of each kind of problem, in a report

Key = tuple[Any, ...]


class Difference(NamedTuple):
    """A value in BigQuery that isn't what the source row says."""

    key: Key
    column: str


@dataclass
class TableComparison:
    """What is wrong with one table; keys are the values of its identity columns."""

    source_rows: int = 0
    bigquery_rows: int = 0
    missing: list[Key] = field(default_factory=list)
    duplicate: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)
    different: list[Difference] = field(default_factory=list)
    unset_flags: list[Any] = field(default_factory=list)  # primary keys
    open_batches: list[int] = field(default_factory=list)  # ids in bq_sync_batch
    open_items: list[int] = field(default_factory=list)  # ids in bq_sync_queue that aren't completed

    @property
    def problems(self) -> dict[str, list[Any]]:
        """What was found, by kind; without the kinds of which nothing was found."""
        kinds: dict[str, list[Any]] = {
            "missing in BigQuery": self.missing,
            "more than once in BigQuery": self.duplicate,
            "in BigQuery only": self.extra,
            "different": [f"{difference.key} {difference.column}" for difference in self.different],
            "flag not set": self.unset_flags,
            "batch not completed": self.open_batches,
            "queue item not completed": self.open_items,
        }
        return {kind: found for kind, found in kinds.items() if found}


@dataclass(frozen=True)
class Comparison:
    """The outcome for all configured tables."""

    tables: Mapping[str, TableComparison]

    @property
    def equal(self) -> bool:
        """Each row is in BigQuery once with equal values, and nothing is left to be done."""
        return not any(compared.problems for compared in self.tables.values())

    def report(self) -> str:
        """The outcome in lines for people; names rows and columns, never values."""
        lines = []
        for name, compared in self.tables.items():
            verdict = "NOT EQUAL" if compared.problems else "equal"
            lines.append(f"{name}: {compared.source_rows} rows, {compared.bigquery_rows} in BigQuery: {verdict}")
            for kind, found in compared.problems.items():
                more = ", ..." if len(found) > SHOWN else ""
                lines.append(f"  {kind}: {len(found)} ({', '.join(str(item) for item in found[:SHOWN])}{more})")
        return "\n".join(lines)


def compare(
    engine: Engine,
    client: Client,
    settings: Settings,
    *,
    site: Mapping[str, str] | None = None,
    site_id: str | None = None,
) -> Comparison:
    """Compare every configured table's rows with BigQuery's, value by value.

    History rows (flag NULL) may be in BigQuery or not; where they are, they must be equal.

    Args:
        engine: its sessions' time zone is UTC, as of those that database.engine makes.
        site: BigQuery columns and their values, such as {"tid": ..., "fid": ...}: only rows of BigQuery that have them
            are looked at, where several sites share the tables.
        site_id: what `{site_id}` stands for in templates; default: as configured.
    """
    tables = {}
    for name, mapping in settings.tables.items():
        with engine.connect() as connection:
            rules = _Rules(connection, client, settings, name, settings.site_id if site_id is None else site_id)
        sent = list(
            _bigquery_rows(client, rules, mapping.columns, site or {})
        )  # between connections: the server drops idle ones
        with engine.connect() as connection:
            tables[name] = _compare_table(connection, rules, name, mapping, sent)
    return Comparison(tables)


def _compare_table(
    connection: Connection, rules: "_Rules", name: str, mapping: TableSettings, sent: list[dict[str, Any]]
) -> TableComparison:
    result = TableComparison(bigquery_rows=len(sent))
    found: dict[Key, dict[str, Any]] = {}
    for row in sent:
        key = tuple(row[column] for column in mapping.identity_columns)
        if key in found:
            result.duplicate.append(key)
        found[key] = row

    for row in _source_rows(connection, name):
        result.source_rows += 1
        expected = {column: rules.value(column, origin, row) for column, origin in mapping.columns.items()}
        key = tuple(expected[column] for column in mapping.identity_columns)
        there = found.pop(key, None)
        flag = row[mapping.synced_flag] if mapping.synced_flag else True
        if flag is not None and not flag:
            result.unset_flags.append(row[mapping.primary_key])
        if there is not None:
            wrong = (column for column, value in expected.items() if not _same(value, there[column]))
            result.different += [Difference(key, column) for column in wrong]
        elif flag is not None:
            result.missing.append(key)
    result.extra = list(found)
    result.open_batches = _ids(
        connection, "SELECT id FROM bq_sync_batch WHERE table_name = :t AND state IN ('begun', 'appended')", name
    )
    result.open_items = _ids(
        connection, "SELECT id FROM bq_sync_queue WHERE table_name = :t AND sync_status <> 'completed'", name
    )
    return result


class _Rules:
    """The mapping rules of one table, as the configuration's documentation words them."""

    def __init__(self, connection: Connection, client: Client, settings: Settings, name: str, site_id: str) -> None:
        self.destination = f"{settings.project_id}.{settings.dataset_id}.{settings.tables[name].destination}"
        schema = client.get_table(self.destination, timeout=10, retry=DEFAULT_RETRY.with_timeout(10)).schema
        self.fields: dict[str, SchemaField] = {column.name: column for column in schema}
        self._types = _source_types(connection, name)
        self._json_columns = _json_columns(connection, name)
        self._zone = settings.zone or ZoneInfo("UTC")
        self._site_id = site_id

    def value(self, column: str, origin: ColumnOrigin, row: Mapping[str, Any]) -> Any:
        """What BigQuery should hold in this column for this source row."""
        match origin:
            case FromColumn(column=source):
                value = self._utc(source, row[source])
            case FromTemplate(template=template):
                value = template.format_map({**row, "site_id": self._site_id})
            case FromValue(value=str() as constant):
                value = constant.replace("{site_id}", self._site_id)
            case FromValue(value=constant):
                value = constant
            case FromObject(object=members):
                return {member: self._member(source, row) for member, source in members.items()}
        field = self.fields[column]
        if field.mode == "REPEATED":
            return [] if value is None else [_convert(field.field_type, item) for item in json.loads(value)]
        return None if value is None else _convert(field.field_type, value)

    def _member(self, source: str | JsonMember, row: Mapping[str, Any]) -> Any:
        name = source.json_column if isinstance(source, JsonMember) else source
        value = row[name]
        if value is not None and (isinstance(source, JsonMember) or name in self._json_columns):
            return json.loads(value)
        return value

    def _utc(self, source: str, value: Any) -> Any:
        """An instant for a TIMESTAMP (UTC in our sessions) or DATETIME (in the configured zone); else as it is."""
        if not isinstance(value, datetime):
            return value
        zone = UTC if self._types[source] == "timestamp" else self._zone
        return value.replace(tzinfo=zone).astimezone(UTC)


def _convert(kind: str, value: Any) -> Any:
    match kind:
        case "STRING":
            return value if isinstance(value, str) else str(value)
        case "INTEGER" | "INT64":
            return int(value)
        case "FLOAT" | "FLOAT64":
            return float(value)
        case "NUMERIC" | "BIGNUMERIC":
            return Decimal(str(value))
        case "BOOLEAN" | "BOOL":
            return bool(value)
        case "BYTES":
            return value if isinstance(value, bytes) else str(value).encode()
        case "JSON":
            return json.loads(value) if isinstance(value, str | bytes) else value
        case "TIMESTAMP" | "DATETIME" | "DATE" | "TIME":
            return value
        case _:
            raise ValueError(f"the comparison doesn't know BigQuery's type {kind}: teach sandbox/compare.py")


def _same(expected: Any, actual: Any) -> bool:
    """Equal values of equal kinds: 1 and 1.0 are the same number, 1 and true aren't the same."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(_same(expected[name], actual[name]) for name in expected)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_same, expected, actual))
    return bool(expected == actual)


def _source_rows(connection: Connection, name: str) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(text("*")).select_from(table(name))).mappings():
        yield dict(row)


def _bigquery_rows(
    client: Client, rules: _Rules, columns: Collection[str], site: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    rows = client.list_rows(rules.destination, timeout=ANSWER_SECONDS, retry=DEFAULT_RETRY.with_timeout(ANSWER_SECONDS))
    for row in rows:
        if all(row[column] == value for column, value in site.items()):
            yield {column: row[column] for column in columns}  # items() copies every value deeply


def _source_types(connection: Connection, name: str) -> dict[str, str]:
    """The data type of each column, in lower case.

    Raises:
        LookupError: the table isn't in the database.
    """
    query = text(
        "SELECT column_name, LOWER(data_type) FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = :t"
    )
    types = {row[0]: row[1] for row in connection.execute(query, {"t": name})}
    if not types:
        raise LookupError(f"the database has no table {name}: name a table of it in the configuration")
    return types


def _json_columns(connection: Connection, name: str) -> set[str]:
    """The columns that hold JSON: of MySQL's type, or checked by MariaDB's json_valid()."""
    query = text(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = :t AND (data_type = 'json' OR EXISTS ("
        "   SELECT 1 FROM information_schema.check_constraints c WHERE c.constraint_schema = DATABASE()"
        "   AND c.table_name = :t AND c.check_clause = CONCAT('json_valid(`', column_name, '`)')))"
    )
    return set(connection.execute(query, {"t": name}).scalars())


def _ids(connection: Connection, query: str, name: str) -> list[int]:
    return list(connection.execute(text(query + " ORDER BY id"), {"t": name}).scalars())
