"""What BigQuery has of a table's rows: counted by day, and whole in the order of their keys. See `delivery.both_sides`.

A query reads only the columns that it names, of the partitions that the days concern; how many bytes that is, a dry run
tells without reading any.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

from google.cloud import bigquery
from google.cloud.bigquery import DEFAULT_RETRY

from bigquery import classify
from bigquery.lookup import CALL_SECONDS, PYTHON_TYPES
from bigquery.names import quoted, quoted_table
from config.settings import Settings
from delivery.both_sides import ONE_DAY, DayCount, Found, Scope, Span
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import Key
from mapping.schema import BigQueryColumn, BigQueryTable
from mapping.verified import KeyCarrier, SideBySide

QUERY_SECONDS = 1800.0  # a sort of many rows takes minutes
ROWS_A_PAGE = 2_000
AGAIN = DEFAULT_RETRY.with_timeout(120.0)  # of a call that wasn't answered: a long answer outlives a short outage

Parameter: TypeAlias = bigquery.ArrayQueryParameter | bigquery.ScalarQueryParameter


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT, and the values of its parameters."""

    text: str
    parameters: Sequence[Parameter]


class TableInBigQuery:
    """One table's rows there; implements `delivery.both_sides.There`.

    Args:
        columns: whose values `rows` returns, in this order; those that rows are put side by side by among them.
        most_bytes: what one query may read.
    """

    def __init__(
        self,
        client: bigquery.Client,
        settings: Settings,
        table: BigQueryTable,
        by: SideBySide,
        columns: Sequence[BigQueryColumn],
        most_bytes: int,
    ) -> None:
        self._client = client
        self._from = quoted_table(settings, table.name)
        self._table = table
        self._by = by
        self._columns = columns
        self._most_bytes = most_bytes

    def counts(self, span: Span, scopes: Collection[Scope]) -> Sequence[DayCount]:
        counted = []
        for row in self._run(self._counts(span, scopes)):
            day, rows, distinct, highest, *scope = row
            if tuple(scope) in scopes:
                counted.append(DayCount(day, tuple(scope), rows, distinct, None if highest is None else int(highest)))
        return counted

    def rows(self, span: Span, scopes: Collection[Scope]) -> "FoundPages":
        answer = self._run(self._rows(span, scopes))
        return FoundPages(answer, self._reader(), frozenset(scopes))

    def counts_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        return self._bytes(self._counts(span, scopes))

    def rows_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        return self._bytes(self._rows(span, scopes))

    # the queries

    def _counts(self, span: Span, scopes: Collection[Scope]) -> Query:
        key, scope = self._by.key, [quoted(name) for name in self._by.scope_columns]
        highest = f"MAX({_key(key)})" if key.integer else "NULL"
        condition, parameters = self._condition(span, scopes)
        distinct = f"COUNT(DISTINCT {quoted(key.column.name)})"
        counted = [_day(self._by.time), "COUNT(*)", distinct, highest]
        # By number: a column of the table may have any name that is given here.
        columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate([*counted, *scope]))
        groups = ", ".join(["1", *(str(len(counted) + number) for number in range(1, len(scope) + 1))])
        return Query(f"SELECT {columns} FROM {self._from} WHERE {condition} GROUP BY {groups}", parameters)  # noqa: S608 -- of quoted names

    def _rows(self, span: Span, scopes: Collection[Scope]) -> Query:
        condition, parameters = self._condition(span, scopes)
        selected = [_key(self._by.key), *(quoted(column.name) for column in self._columns)]
        columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(selected))
        return Query(f"SELECT {columns} FROM {self._from} WHERE {condition} ORDER BY 1", parameters)  # noqa: S608 -- of quoted names

    def _condition(self, span: Span, scopes: Collection[Scope]) -> tuple[str, Sequence[Parameter]]:
        """What holds for the rows of the span and the scopes; of scopes of several columns perhaps for others too."""
        conditions, parameters = [*_affixes(self._by.key)], []
        for number, name in enumerate(self._by.scope_columns):
            values = {scope[number] for scope in scopes}
            terms = [f"{quoted(name)} IN UNNEST(@s{number})"] + [f"{quoted(name)} IS NULL"] * (None in values)
            conditions.append(f"({' OR '.join(terms)})")
            column_type = self._comparable(name)
            parameters.append(bigquery.ArrayQueryParameter(f"s{number}", column_type, list(values - {None})))
        within = [*self._days(span, parameters)]
        if within or not span.timeless:
            days = " AND ".join(within) or f"{quoted(self._by.time.name)} IS NOT NULL"
            conditions.append(f"({days}{f' OR {quoted(self._by.time.name)} IS NULL' if span.timeless else ''})")
        return " AND ".join(conditions) or "TRUE", parameters

    def _days(self, span: Span, parameters: list[Parameter]) -> Iterator[str]:
        time_column = self._by.time
        if span.first is not None:
            parameters.append(bigquery.ScalarQueryParameter("first", time_column.type, self._start(span.first)))
            yield f"{quoted(time_column.name)} >= @first"
        if span.last is not None and span.last < date.max:
            parameters.append(
                bigquery.ScalarQueryParameter("behind", time_column.type, self._start(span.last + ONE_DAY))
            )
            yield f"{quoted(time_column.name)} < @behind"

    def _start(self, day: date) -> object:
        match self._by.time.type:
            case "DATE":
                return day
            case "DATETIME":
                return datetime.combine(day, time())
        return datetime.combine(day, time(), UTC)

    def _comparable(self, name: str) -> str:
        column = self._table.columns[name]
        if column.type not in PYTHON_TYPES:
            what = f"{self._table.name}.{name} is of type {column.type}"
            reason = f"{what}, which can't be compared: take it out of identity"
            raise DestinationError(Failure(ErrorClass.BLOCKED, reason, definite=True))
        return column.type

    # running them

    def _run(self, query: Query) -> bigquery.table.RowIterator:
        config = bigquery.QueryJobConfig(
            query_parameters=list(query.parameters), maximum_bytes_billed=self._most_bytes, use_query_cache=False
        )
        try:
            return self._client.query_and_wait(
                query.text,
                job_config=config,
                api_timeout=CALL_SECONDS,
                wait_timeout=QUERY_SECONDS,
                page_size=ROWS_A_PAGE,
                retry=AGAIN,  # reading changes nothing
                job_retry=None,
            )
        except Exception as error:
            raise DestinationError(classify.of_exception(error)) from error

    def _bytes(self, query: Query) -> int:
        config = bigquery.QueryJobConfig(query_parameters=list(query.parameters), dry_run=True, use_query_cache=False)
        try:
            job = self._client.query(query.text, job_config=config, timeout=CALL_SECONDS, retry=None, job_retry=None)
        except Exception as error:
            raise DestinationError(classify.of_exception(error)) from error
        return int(job.total_bytes_processed or 0)

    def _reader(self) -> "_FoundReader":
        names = [column.name for column in self._columns]
        places = tuple(names.index(name) for name in self._by.identity_columns)
        scope = tuple(names.index(name) for name in self._by.scope_columns)
        return _FoundReader(self._by.key, places, scope, names.index(self._by.time.name))


@dataclass(frozen=True, slots=True)
class _FoundReader:
    """Reads an answer's row: the key, then the columns; by their places."""

    carrier: KeyCarrier
    identity: tuple[int, ...]
    scope: tuple[int, ...]
    time: int

    def read(self, row: Sequence[Any]) -> Found:
        key, *values = row
        return Found(
            self._key(key),
            tuple([values[place] for place in self.identity]),
            tuple([values[place] for place in self.scope]),
            values[self.time],
            tuple(values),
        )

    def _key(self, key: int | Decimal | str | None) -> Key | None:
        if key is None:
            return None
        return int(key) if self.carrier.integer else self.carrier.key_of(str(key))


class FoundPages:
    """Implements `delivery.both_sides.FoundRows`."""

    def __init__(self, answer: bigquery.table.RowIterator, reader: _FoundReader, scopes: frozenset[Scope]) -> None:
        self._pages = answer.pages
        self._reader = reader
        self._scopes = scopes

    def next_page(self) -> Sequence[Found]:
        while True:
            try:
                page = next(self._pages, None)
                rows = None if page is None else [tuple(row) for row in page]  # values() copies each deeply
            except Exception as error:
                raise DestinationError(classify.of_exception(error)) from error
            if rows is None:
                return ()
            found = [row for row in map(self._reader.read, rows) if row.scope in self._scopes]
            if found:
                return found


def _day(column: BigQueryColumn) -> str:
    match column.type:
        case "DATE":
            return quoted(column.name)
        case "DATETIME":
            return f"DATE({quoted(column.name)})"
    return f"DATE({quoted(column.name)}, 'UTC')"  # the project may have another default


def _affixes(key: KeyCarrier) -> Iterator[str]:
    """What holds where this table's texts stand around the key: `{site_id}` may be all that two servers differ by."""
    column = quoted(key.column.name)
    if key.prefix or key.suffix:
        yield f"LENGTH({column}) >= {len(key.prefix) + len(key.suffix)}"
    if key.prefix:
        yield f"STARTS_WITH({column}, {_literal(key.prefix)})"
    if key.suffix:
        yield f"ENDS_WITH({column}, {_literal(key.suffix)})"


def _key(key: KeyCarrier) -> str:
    """The key that stands in the column, of rows with its affixes; NULL where none does."""
    column = quoted(key.column.name)
    if key.column.type == "INT64":
        return column
    inner, around = column, len(key.prefix) + len(key.suffix)
    if around:
        inner = f"SUBSTR({column}, {len(key.prefix) + 1}, GREATEST(0, LENGTH({column}) - {around}))"
    if key.integer:
        # BIGINT UNSIGNED reaches beyond INT64.
        return f"SAFE_CAST({inner} AS {'BIGNUMERIC' if key.unsigned else 'INT64'})"
    return inner


def _literal(text: str) -> str:
    escaped = "".join(f"\\U{ord(sign):08x}" if sign in "\\'\n\r" or not sign.isprintable() else sign for sign in text)
    return f"'{escaped}'"
