"""`bq-sync init-bigquery`: makes dataset and shipped tables where they are missing, and changes nothing else."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial

from bigquery.connect import connect
from bigquery.metadata import create_dataset, create_table, read_table
from bigquery.probe import dataset_location, is_missing
from bigquery.tables import SHIPPED
from config.settings import Settings
from delivery.errors import DestinationError
from mapping.checks import destination_problems
from operations.asking import Asking, NotAskedError
from operations.check_alerts import judge_heartbeat
from operations.check_bigquery import MAY_WRITE, THEN_AGAIN, WHERE, BigQuerySide, judge_destination, judge_location
from operations.findings import Doing, Finding, Report, Severity, error, ok


def init_bigquery(
    settings: Settings,
    report: Report,
    doing: Doing = lambda _step: None,
    environment: Mapping[str, str] = os.environ,
) -> Severity:
    """Make what is missing, and compare what is there with the settings.

    Args:
        environment: where an emulator's address is looked for.

    Returns:
        The worst level found; Severity.ERROR where a configured table isn't there, or can't take the rows.

    Raises:
        SettingsError: there are no credentials that can be used.
    """
    worst = Severity.OK
    with closing(connect(settings, environment)) as clients:
        for finding in _findings(BigQuerySide(settings, clients, Asking(doing))):
            report(finding)
            worst = max(worst, finding.level)
    return worst


def _findings(side: BigQuerySide) -> Iterator[Finding]:
    yield from _dataset(side)
    heartbeats = [side.settings.heartbeat_table] if side.settings.heartbeat_table else []
    for destination in dict.fromkeys([*(table.destination for table in side.settings.tables.values()), *heartbeats]):
        try:
            yield _make_table(side, destination)
            yield from _fit(side, destination)
        except NotAskedError as unasked:
            yield error(WHERE, f"table {destination} isn't made: {unasked}", THEN_AGAIN)
        except DestinationError as problem:
            if is_missing(problem):
                fix = "create it by hand, or have its owner do so"
                yield error(WHERE, f"table {destination} isn't ours to make: there is no shipped schema for it", fix)
            else:
                fix = side.fix(problem, MAY_WRITE)
                yield error(WHERE, f"table {destination} can't be made or read: {problem}", fix)


def _dataset(side: BigQuerySide) -> Iterator[Finding]:
    settings, rest = side.settings, side.clients.rest
    name = f"{settings.project_id}.{settings.dataset_id}"
    try:
        made = side.asking.ask("BigQuery", f"making dataset {name}", partial(create_dataset, rest, settings))
        yield ok(WHERE, f"dataset {name}: {made}")
        if made == "exists":
            location = side.asking.ask("BigQuery", f"reading {name}", partial(dataset_location, rest, settings))
            yield judge_location(name, location, settings.location)
    except DestinationError as problem:
        fix = side.fix(problem, "set location, and grant the service account roles/bigquery.user on the project")
        yield error(WHERE, f"dataset {name} can't be made or read: {problem}", fix)
        side.asking.stop("BigQuery", "its dataset isn't there")


def _make_table(side: BigQuerySide, name: str) -> Finding:
    if name not in SHIPPED and name != side.settings.heartbeat_table:
        return ok(WHERE, f"table {name}: is somebody else's")
    made = side.asking.ask(
        "BigQuery", f"making table {name}", partial(create_table, side.clients.rest, side.settings, name)
    )
    return ok(WHERE, f"table {name}: {made}")


def _fit(side: BigQuerySide, name: str) -> Iterator[Finding]:
    destination = side.asking.ask(
        "BigQuery", f"reading table {name}", partial(read_table, side.clients.rest, side.settings, name)
    )
    if name == side.settings.heartbeat_table:
        yield judge_heartbeat(destination, side.settings)
    for source, settings in side.settings.tables.items():
        if settings.destination == name:
            problems = [error(source, problem) for problem in destination_problems(settings, destination)]
            yield from problems or [ok(source, f"its columns are in {name}")]
            yield from judge_destination(source, settings, destination)
