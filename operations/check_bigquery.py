"""What `bq-sync check` says about BigQuery: whether it answers, the clock, the dataset, and each table there."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from bigquery.connect import STORAGE_ENDPOINT, Clients
from bigquery.metadata import read_table, server_time
from bigquery.probe import dataset_location, is_missing, try_querying, try_writing
from bigquery.tables import SHIPPED
from config.settings import Settings, TableSettings, WriteMethod
from delivery.errors import DestinationError, ErrorClass
from mapping.schema import BigQueryTable
from operations.asking import Asking, NotAskedError, Way
from operations.findings import Finding, error, ok, warning

WHERE: Final = "BigQuery"

# Google refuses tokens from a clock that is about 5 minutes off; the ages that bq-sync tells are off before that.
CLOCK_WARNING = timedelta(seconds=60)
CLOCK_ERROR = timedelta(seconds=300)

MAY_WRITE = "grant the service account roles/bigquery.dataEditor on the dataset"
MAY_QUERY = (
    "grant the service account roles/bigquery.jobUser on the project, and roles/bigquery.dataEditor on the dataset"
)
THEN_AGAIN = "mend that, then check again"


@dataclass(frozen=True, slots=True)
class BigQuerySide:
    """What the checks of BigQuery work with."""

    settings: Settings
    clients: Clients
    asking: Asking

    def fix(self, problem: DestinationError, otherwise: str) -> str:
        """What to do about a call that failed: about the network, or else what the call itself needs."""
        match problem.failure.error_class:
            case ErrorClass.TRANSIENT:
                hosts = f"{self.clients.rest_endpoint} and {self.settings.storage_endpoint or STORAGE_ENDPOINT}"
                return f"see that this machine reaches {hosts} (network, DNS, firewall) and that its clock is right"
            case ErrorClass.QUOTA:
                return "wait, or have the quota raised"
            case _:
                return otherwise


def check_service(side: BigQuerySide) -> Iterator[Finding]:
    """Whether BigQuery answers, the clock, and the dataset; where one of them stands in the way, no more is asked."""
    endpoint = side.clients.rest_endpoint
    try:
        there = side.asking.ask(WHERE, f"asking {endpoint} for the time", partial(server_time, endpoint))
    except DestinationError as problem:
        yield error(WHERE, f"{endpoint} doesn't answer: {problem}", side.fix(problem, THEN_AGAIN))
        return
    yield ok(WHERE, f"{endpoint} answers" + (" (an emulator)" if side.settings.storage_endpoint else ""))
    yield judge_clock(there, datetime.now(UTC))
    yield from _check_dataset(side)


def _check_dataset(side: BigQuerySide) -> Iterator[Finding]:
    name = f"{side.settings.project_id}.{side.settings.dataset_id}"
    try:
        location = side.asking.ask(
            WHERE, f"reading dataset {name}", partial(dataset_location, side.clients.rest, side.settings)
        )
    except NotAskedError as unasked:
        yield warning(WHERE, f"dataset {name} isn't checked: {unasked}", THEN_AGAIN)
    except DestinationError as problem:
        if is_missing(problem):
            fix = "run `bq-sync init-bigquery`, or correct project_id and dataset_id"
            yield error(WHERE, f"dataset {name} doesn't exist", fix)
            side.asking.stop("BigQuery", "the dataset doesn't exist")
        else:
            yield error(WHERE, f"dataset {name} can't be read: {problem}", side.fix(problem, MAY_WRITE))
    else:
        yield judge_location(name, location, side.settings.location)


def judge_clock(there: datetime, here: datetime) -> Finding:
    """Compare BigQuery's time, which is known to the second, with this machine's."""
    off = abs(there - here)
    if off <= CLOCK_WARNING:
        return ok(WHERE, "this machine's clock is right")
    way = "behind" if there > here else "ahead"
    text = f"this machine's clock is {off.total_seconds():,.0f} s {way}"
    fix = "set it, and have it kept right: `timedatectl set-ntp true`"
    return (
        error(WHERE, f"{text}: Google refuses the credentials", fix) if off > CLOCK_ERROR else warning(WHERE, text, fix)
    )


def judge_location(name: str, location: str, configured: str | None) -> Finding:
    if configured is None or configured.lower() == location.lower():
        return ok(WHERE, f"dataset {name} is in {location}")
    return warning(
        WHERE,
        f"dataset {name} is in {location}, but location says {configured}",
        f"set location: {location}; a dataset can't be moved",
    )


def check_destination(side: BigQuerySide, name: str) -> Generator[Finding, None, BigQueryTable | None]:
    """The findings about the BigQuery table of the source table `name`; returns it, None where it can't be read."""
    settings = side.settings.tables[name]
    table = settings.destination
    try:
        destination = side.asking.ask(
            "BigQuery",
            f"reading BigQuery's table {table}",
            partial(read_table, side.clients.rest, side.settings, table),
        )
    except NotAskedError as unasked:
        yield warning(name, f"BigQuery's table {table} isn't checked: {unasked}", THEN_AGAIN)
        return None
    except DestinationError as problem:
        if is_missing(problem):
            make = "run `bq-sync init-bigquery`" if table in SHIPPED else "create it there"
            yield error(name, f"BigQuery has no table {table}", f"{make}, or correct `destination`")
        else:
            fix = side.fix(problem, MAY_WRITE)
            yield error(name, f"BigQuery's table {table} can't be read: {problem}", fix)
        return None
    yield ok(name, f"BigQuery's table {table} is there")
    yield from judge_destination(name, settings, destination)
    return destination


def judge_destination(name: str, settings: TableSettings, destination: BigQueryTable) -> Iterator[Finding]:
    """How the table keeps its rows, beside what is expected of it."""
    kept, needed = destination.expiration_days, settings.retention_days
    if kept is not None and needed is not None and kept < needed:
        yield error(
            name,
            f"BigQuery drops partitions of {destination.name} after {kept:g} days, before retention_days ({needed}) are"
            " over",
            f"have its owner set the partition expiration to {needed} days or more, or set retention_days lower",
        )
    if destination.partition_column is None:
        yield warning(
            name,
            f"BigQuery's table {destination.name} isn't partitioned by a column: every look-up scans all of it",
            "have its owner partition it by the column that says when the row was made",
        )


def judge_identity(name: str, settings: TableSettings) -> Finding:
    """Whether rows of another server could be taken for this one's."""
    columns = ", ".join(settings.identity_columns)
    if not set(settings.identity_columns) & set(settings.key_columns):
        return warning(
            name,
            f"rows are known by {columns}, and nothing of it is made of the primary key {settings.primary_key}: of rows"
            " that have the same there, one that BigQuery has stands for all, also where old rows are deleted",
            f"add {' or '.join(settings.key_columns) or 'a column with the key'} to `identity`, unless no two rows ever"
            f" have the same {columns}",
        )
    if any("{site_id}" in str(settings.columns[column]) for column in settings.identity_columns):
        return ok(name, f"rows are known by {columns}, which name this site")
    return ok(
        name,
        f"rows are known by {columns}; if another server writes the same values there, add a column with {{site_id}}",
    )


def check_use(side: BigQuerySide, name: str, destination: BigQueryTable) -> Iterator[Finding]:
    """Whether rows may be written and looked up: both are tried."""
    clients, settings = side.clients, side.settings
    key = settings.tables[name].identity_columns[0]
    writing = partial(try_writing, clients, settings, destination)
    querying = partial(try_querying, clients.rest, settings, destination, key)
    try:
        side.asking.ask(*_trial(settings.write_method, destination.name), writing)
        yield ok(name, f"may write to {destination.name}")
    except NotAskedError as unasked:
        yield warning(name, f"writing to {destination.name} isn't tried: {unasked}", THEN_AGAIN)
    except DestinationError as problem:
        yield error(name, f"can't write to {destination.name}: {problem}", side.fix(problem, MAY_WRITE))
    if key not in destination.columns:
        return  # the mapping doesn't fit, and that is said
    try:
        side.asking.ask("BigQuery", f"having a query of {destination.name} planned", querying)
        yield ok(name, f"may query {destination.name}")
    except NotAskedError as unasked:
        yield warning(name, f"querying {destination.name} isn't tried: {unasked}", THEN_AGAIN)
    except DestinationError as problem:
        yield error(name, f"can't query {destination.name}: {problem}", side.fix(problem, MAY_QUERY))


def _trial(write_method: WriteMethod, table: str) -> tuple[Way, str]:
    """Who is asked whether a table may be written to, and how."""
    match write_method:
        case "storage_write":
            return "the Storage Write API", f"making an empty stream of {table}"
        case "insert_all":
            return "BigQuery", f"asking whether {table} may be written to"
