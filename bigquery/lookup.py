"""Which rows of a batch are in BigQuery: asked for by identity, within the partitions that they went to.

The query narrows down, and is written so that BigQuery reads only the partitions and clusters concerned. What it
returns is compared here, whole row by whole row.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

from google.cloud import bigquery

from bigquery import classify
from bigquery.names import quoted, quoted_table
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import SentRows
from mapping.schema import BigQueryTable

ROWS_A_QUERY = 5_000  # keeps a request well below 10 MB
CALL_SECONDS = 30.0  # deadline of one REST call
QUERY_SECONDS = 120.0  # deadline of a query

Row = tuple[object, ...]

# The types that can be compared for equality, with what their values are in Python; a table's column that is of
# another type now than when its rows were sent would otherwise answer "not there".
PYTHON_TYPES: Mapping[str, type] = {
    "STRING": str,
    "BYTES": bytes,
    "INT64": int,
    "FLOAT64": float,
    "BOOL": bool,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
    "DATE": date,
    "DATETIME": datetime,
    "TIME": time,
    "TIMESTAMP": datetime,
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look-ups in one table."""

    client: bigquery.Client
    settings: Settings
    table: BigQueryTable

    def places_there(self, rows: SentRows) -> frozenset[int]:
        """The places of those rows that are in BigQuery.

        Raises:
            DestinationError: nothing is known: the query failed, would scan more than `lookup_max_bytes`, or the
                table's columns no longer fit what was sent.
        """
        wanted = [_whole(rows, place) for place in range(len(rows))]
        there: set[int] = set()
        for start in range(0, len(rows), ROWS_A_QUERY):
            places = range(start, min(start + ROWS_A_QUERY, len(rows)))
            found = self._ask(rows, [wanted[place] for place in places])
            there.update(place for place in places if wanted[place] in found)
        return frozenset(there)

    def _ask(self, rows: SentRows, wanted: list[Row]) -> set[Row]:
        query = _Query(self.table, rows.identity_columns, rows.partition_column, wanted)
        table = quoted_table(self.settings, self.table.name)
        text = f"SELECT {query.columns} FROM {table} WHERE {query.condition}"  # noqa: S608 -- of quoted names
        config = bigquery.QueryJobConfig(
            query_parameters=query.parameters,
            maximum_bytes_billed=self.settings.lookup_max_bytes,
            # Whether a row is there must not rest on the rules by which a cache is invalidated.
            use_query_cache=False,
        )
        try:
            result = self.client.query_and_wait(
                text,
                job_config=config,
                api_timeout=CALL_SECONDS,
                wait_timeout=QUERY_SECONDS,
                retry=None,
                job_retry=None,
            )
            return {tuple(row) for row in result}  # values() copies each deeply
        except Exception as error:
            raise DestinationError(classify.of_exception(error)) from error


def _whole(rows: SentRows, place: int) -> Row:
    row = rows.rows[place]
    return row.identity if rows.partition_column is None else (*row.identity, row.partition)


class _Query:
    """The parts of the query for some rows, each a tuple of identity and partitioning column."""

    def __init__(
        self, table: BigQueryTable, identity: tuple[str, ...], partition: str | None, wanted: list[Row]
    ) -> None:
        names = identity if partition is None else (*identity, partition)
        self.columns = ", ".join(f"{quoted(name)} AS c{number}" for number, name in enumerate(names))
        self.parameters: list[bigquery.ArrayQueryParameter | bigquery.ScalarQueryParameter] = []
        conditions = []
        for number, name in enumerate(names):
            values = {row[number] for row in wanted}
            column_type = comparable(table, name, values)
            terms = list(
                self._between(name, column_type, values - {None})
                if number == len(identity)
                else self._one_of(number, name, column_type, values - {None})
            )
            if None in values:
                terms.append(f"{quoted(name)} IS NULL")
            conditions.append(f"({' OR '.join(terms)})")
        self.condition = " AND ".join(conditions)

    def _one_of(self, number: int, name: str, column_type: str, values: set[object]) -> Iterator[str]:
        if values:
            self.parameters.append(bigquery.ArrayQueryParameter(f"v{number}", column_type, list(values)))
            yield f"{quoted(name)} IN UNNEST(@v{number})"

    def _between(self, name: str, column_type: str, values: set[object]) -> Iterator[str]:
        # A range, not a list: BigQuery leaves out the other partitions for comparisons with constants.
        if values:
            lowest, highest = min(values), max(values)  # type: ignore[type-var]  # of one type: _check
            self.parameters.append(bigquery.ScalarQueryParameter("lowest", column_type, lowest))
            self.parameters.append(bigquery.ScalarQueryParameter("highest", column_type, highest))
            yield f"{quoted(name)} BETWEEN @lowest AND @highest"


def comparable(table: BigQueryTable, name: str, values: Collection[object]) -> str:
    """The column's type, by which it can be compared with these values.

    Raises:
        DestinationError: it can't.
    """
    column = table.columns.get(name)
    if column is None:
        raise _unfit(f"{table.name} has no column {name} any more, which its rows are known by")
    if column.type not in PYTHON_TYPES or column.mode == "REPEATED":
        raise _unfit(f"{table.name}.{name} is of a type that can't be compared, but rows are known by it")
    for value in values:
        zoned = isinstance(value, datetime) and value.tzinfo is not None
        fits = type(value) is PYTHON_TYPES[column.type] and zoned == (column.type == "TIMESTAMP")
        if value is not None and not fits:
            raise _unfit(f"{name} is {column.type} now, but was {type(value).__name__} when its rows were sent")
    return column.type


def _unfit(reason: str) -> DestinationError:
    return DestinationError(Failure(ErrorClass.BLOCKED, f"look-up: {reason}", definite=True))
