"""A table that takes very many rows at once: from a file into a table beside it, and from there by one query job."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from bigquery import classify
from bigquery.connect import Clients
from bigquery.load_jobs import LoadJob
from bigquery.lookup import comparable
from bigquery.names import quoted, quoted_table
from bigquery.probe import dataset_location
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import SentRows
from mapping.row import Shape
from mapping.schema import BigQueryColumn, BigQueryTable

CALL_SECONDS = 60.0  # deadline of a REST call; of an upload, between two signs of life
JOB_SECONDS = 600.0  # of a job
EXPIRES = timedelta(days=1)  # of the table beside it, should nobody delete it

# The default, "exact", fails for a number that a double can't hold.
_PARSED = "PARSE_JSON({}, wide_number_mode => 'round')"
_ALL_PARSED = f"ARRAY(SELECT {_PARSED.format('e')} FROM UNNEST({{}}) AS e WITH OFFSET AS o ORDER BY o)"  # noqa: S608


class Loading:
    """Loads into one table; implements `delivery.bulk_backfill.Loading`."""

    def __init__(self, clients: Clients, settings: Settings, table: BigQueryTable, site: str) -> None:
        self._client = clients.rest
        self._settings = settings
        self._table = table
        self._site = site
        self._location: str | None = None

    def try_out(self) -> None:
        """Make a table beside the destination and delete it again; where they are is known then.

        Raises:
            DestinationError: the right to make tables is lacking, or BigQuery can't be reached.
        """
        self._location = dataset_location(self._client, self._settings)
        name = LoadJob.new(self._location, self._site, 0).id
        _call(self._create, name, [bigquery.SchemaField("nothing", "STRING")])
        self.clean_up(LoadJob(self._location, name, 0).name)

    def new_stream(self, rows: int) -> str:
        """What the ledger calls the job that is to insert so many rows."""
        assert self._location is not None, "it wasn't tried out"
        return LoadJob.new(self._location, self._site, rows).name

    def stage(self, stream: str, path: Path, shape: Shape) -> None:
        """Upload the file into a table of its own, whatever that has held until now.

        Raises:
            DestinationError: it may be done again.
        """
        job = _job(stream)
        schema = [_staged(self._table.columns[name]) for name in shape]
        config = bigquery.LoadJobConfig(
            schema=schema,
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            decimal_target_types=[bigquery.DecimalTargetType.NUMERIC, bigquery.DecimalTargetType.BIGNUMERIC],
        )
        config.parquet_options = bigquery.ParquetOptions()
        config.parquet_options.enable_list_inference = True  # a list is an ARRAY, no STRUCT of one
        _call(self._create, job.id, schema)
        rows = _call(self._upload, path, self._id(job.id), config, job.location)
        if rows != job.rows:
            raise _unlike(f"of {job.rows} rows of the file BigQuery has loaded {rows}")

    def insert(self, stream: str, rows: SentRows, shape: Shape) -> int:
        """Insert what was staged into the destination, but for rows that it has; how many it were.

        Raises:
            DestinationError: finalizing the stream tells what became of it.
        """
        job = _job(stream)
        statement = InsertStatement(self._settings, self._table, job.id, shape, rows)
        config = bigquery.QueryJobConfig(
            query_parameters=statement.parameters,
            maximum_bytes_billed=self._settings.lookup_max_bytes,
            use_query_cache=False,
        )
        return int(_call(self._query, statement.text, job, config))

    def clean_up(self, stream: str) -> None:
        """Delete the table beside the destination, if that can be done at once; else it expires."""
        with suppress(GoogleAPIError, OSError):
            self._client.delete_table(self._id(_job(stream).id), retry=None, timeout=CALL_SECONDS, not_found_ok=True)

    def _id(self, table: str) -> str:
        return f"{self._settings.project_id}.{self._settings.dataset_id}.{table}"

    def _create(self, name: str, schema: list[bigquery.SchemaField]) -> None:
        table = bigquery.Table(self._id(name), schema=schema)
        table.expires = datetime.now(UTC) + EXPIRES
        self._client.create_table(table, exists_ok=True, retry=None, timeout=CALL_SECONDS)

    def _upload(self, path: Path, table: str, config: bigquery.LoadJobConfig, location: str) -> int:
        with path.open("rb") as file:  # its size isn't said: then the library goes on with an upload that was cut
            job = self._client.load_table_from_file(
                file, table, job_config=config, location=location, timeout=CALL_SECONDS
            )
        job.result(retry=None, timeout=JOB_SECONDS)
        return int(job.output_rows or 0)

    def _query(self, text: str, job: LoadJob, config: bigquery.QueryJobConfig) -> int:
        where = {"job_id": job.id, "location": job.location}
        begun = self._client.query(text, job_config=config, **where, retry=None, job_retry=None, timeout=CALL_SECONDS)
        begun.result(retry=None, job_retry=None, timeout=JOB_SECONDS)
        return begun.num_dml_affected_rows or 0


class InsertStatement:
    """INSERT of all rows of a table beside the destination that this lacks, by identity and partitioning column."""

    def __init__(self, settings: Settings, table: BigQueryTable, staged: str, shape: Shape, rows: SentRows) -> None:
        destination, source = quoted_table(settings, table.name), quoted_table(settings, staged)
        self.parameters: list[bigquery.ScalarQueryParameter] = []
        columns = [table.columns[name] for name in shape]
        same = [_equal(table.columns[name]) for name in rows.identity_columns]
        partition = rows.partition_column
        if partition is not None:
            same.append(_equal(table.columns[partition]))
            same.append(self._within(table, partition, {row.partition for row in rows.rows}))
        self.text = (
            f"INSERT INTO {destination} ({', '.join(quoted(name) for name in shape)})"  # noqa: S608 -- of quoted names
            f" SELECT {', '.join(_value(column) for column in columns)} FROM {source} AS s"
            f" WHERE NOT EXISTS (SELECT 1 FROM {destination} AS d WHERE {' AND '.join(same)})"
        )

    def _within(self, table: BigQueryTable, name: str, values: set[object]) -> str:
        """What holds for the partitions of these rows: for comparisons with constants alone the others aren't read."""
        column_type = comparable(table, name, values)
        terms = [f"d.{quoted(name)} IS NULL"] if None in values else []
        if known := values - {None}:
            ends = {"lowest": min(known), "highest": max(known)}  # type: ignore[type-var]  # of one type: comparable
            self.parameters += [bigquery.ScalarQueryParameter(end, column_type, value) for end, value in ends.items()]
            terms.append(f"d.{quoted(name)} BETWEEN @lowest AND @highest")
        return f"({' OR '.join(terms)})"


def _value(column: BigQueryColumn) -> str:
    name = f"s.{quoted(column.name)}"
    if column.type != "JSON":
        return name
    if column.mode == "REPEATED":
        return _ALL_PARSED.format(name)
    return _PARSED.format(name)


def _equal(column: BigQueryColumn) -> str:
    """Equality where NULL equals NULL, in a form that the two tables can be joined by."""
    here, there = f"d.{quoted(column.name)}", f"s.{quoted(column.name)}"
    if column.mode == "REQUIRED":
        return f"{here} = {there}"
    return f"IFNULL(TO_JSON_STRING({here}), 'null') = IFNULL(TO_JSON_STRING({there}), 'null')"


def _staged(column: BigQueryColumn) -> bigquery.SchemaField:
    """JSON as text: a load job from Parquet says "Unsupported field type: JSON" (googleapis/python-bigquery #1966)."""
    mode = "REPEATED" if column.mode == "REPEATED" else "NULLABLE"
    return bigquery.SchemaField(column.name, "STRING" if column.type == "JSON" else column.type, mode)


def _job(stream: str) -> LoadJob:
    job = LoadJob.named(stream)
    assert job is not None  # but made by our own `new_stream`
    return job


def _unlike(reason: str) -> DestinationError:
    return DestinationError(Failure(ErrorClass.UNKNOWN, reason, definite=True))


def _call(method: Any, *arguments: object) -> Any:
    try:
        return method(*arguments)
    except Exception as error:
        raise DestinationError(classify.of_exception(error)) from error
