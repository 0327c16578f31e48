"""What `bq-sync check` says about who hears of trouble: the alert channels, and BigQuery's table for heartbeats."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from alerts.channels import Channels
from bigquery.metadata import GOOGLESQL_TYPES, read_table
from bigquery.probe import is_missing
from bigquery.tables import heartbeat_table
from config.settings import Settings
from delivery.errors import DestinationError
from mapping.schema import BigQueryTable
from operations.asking import NotAskedError
from operations.check_bigquery import MAY_WRITE, THEN_AGAIN, BigQuerySide
from operations.findings import Doing, Finding, error, ok, warning

ALERTS: Final = "alerts"
HEARTBEAT: Final = "heartbeat"


def check_alerts(settings: Settings, doing: Doing) -> Iterator[Finding]:
    """Whether Apprise knows every URL; nothing is sent."""
    channels = Channels(settings.alert_urls)
    if not len(channels):
        yield ok(ALERTS, "no channel is configured: trouble is told by the log, /health and the dashboard alone")
        return
    doing("asking Apprise about alert_urls")
    for place, problem in channels.check().items():
        if problem is None:
            yield ok(ALERTS, f"{channels.name(place)} is understood; `bq-sync test-alert` tries it")
        else:
            yield error(ALERTS, f"{channels.name(place)}: {problem}", "correct it, or take it out")


def check_heartbeat(side: BigQuerySide) -> Iterator[Finding]:
    """Whether the table for heartbeats, where one is configured, can take them."""
    name = side.settings.heartbeat_table
    if name is None:
        return
    reading = partial(read_table, side.clients.rest, side.settings, name)
    try:
        table = side.asking.ask("BigQuery", f"reading BigQuery's table {name}", reading)
    except NotAskedError as unasked:
        yield warning(HEARTBEAT, f"BigQuery's table {name} isn't checked: {unasked}", THEN_AGAIN)
    except DestinationError as problem:
        if is_missing(problem):
            fix = "run `bq-sync init-bigquery`, or correct heartbeat_table"
            yield error(HEARTBEAT, f"BigQuery has no table {name}", fix)
        else:
            text = f"BigQuery's table {name} can't be read: {problem}"
            yield error(HEARTBEAT, text, side.fix(problem, MAY_WRITE))
    else:
        yield judge_heartbeat(table, side.settings)


def judge_heartbeat(table: BigQueryTable, settings: Settings) -> Finding:
    """Whether the table has the columns that heartbeats fill, and fills none itself that we leave out."""
    ours = heartbeat_table(settings.project_id, settings.dataset_id, table.name).schema
    types = {field.name: GOOGLESQL_TYPES.get(field.field_type, field.field_type) for field in ours}
    wrong = [name for name, wanted in types.items() if name not in table.columns or table.columns[name].type != wanted]
    wrong += [name for name, column in table.columns.items() if name not in types and column.mode == "REQUIRED"]
    if wrong:
        text = f"BigQuery's table {table.name} can't take heartbeats: {', '.join(wrong)} isn't as it should be"
        return error(HEARTBEAT, text, "name another heartbeat_table, and run `bq-sync init-bigquery`")
    return ok(HEARTBEAT, f"BigQuery's table {table.name} can take heartbeats")
