"""What happens to BigQuery: it goes away, forgets its streams, and gets another schema."""

import time
from collections.abc import Callable
from contextlib import closing
from random import Random

from google.cloud.bigquery import Client, SchemaField

from sandbox.emulator import RETRY
from tests.chaos.arena import Arena
from tests.chaos.faults.kinds import kind

Change = Callable[[list[SchemaField]], list[SchemaField]]


def streams_forgotten(arena: Arena, random: Random) -> str:
    """Killed, and back with its rows: all of them, but none of its streams."""
    arena.emulator.kill()
    time.sleep(random.uniform(0, 1.5))
    arena.emulator.start()
    return "killed, streams forgotten"


def away(arena: Arena, random: Random) -> str:
    """As by a restart that keeps its streams: every connection breaks, and for a while nobody answers."""
    seconds = random.uniform(0.3, 3)
    arena.emulator.freeze()
    for name in ("streams", "REST"):
        arena.lines[name].cut()
    time.sleep(seconds)
    for name in ("streams", "REST"):
        arena.lines[name].restore()
    arena.emulator.thaw()
    return f"away for {seconds:.1f} s"


def frozen(arena: Arena, random: Random) -> str:
    seconds = random.uniform(0.3, 5)
    arena.emulator.freeze()
    time.sleep(seconds)
    arena.emulator.thaw()
    return f"frozen for {seconds:.1f} s"


def column_added(arena: Arena, random: Random) -> str:
    name = f"extra_{random.randrange(1 << 30)}"
    table = _table(arena, random)
    with closing(arena.emulator.client()) as client:
        # The emulator's table gets it by the one, its schema by the other; what comes between is refused, once.
        client.query_and_wait(f"ALTER TABLE `{table}` ADD COLUMN {name} STRING", retry=RETRY, job_retry=None)
        _change(client, table, lambda schema: [*schema, SchemaField(name, "STRING")])
    return f"a column added to {table}"


def column_relaxed(arena: Arena, random: Random) -> str:
    """A REQUIRED column may be NULL from now on."""
    table = _table(arena, random)
    with closing(arena.emulator.client()) as client:
        _change(client, table, _relaxed)
    return f"a column of {table} relaxed"


def _relaxed(schema: list[SchemaField]) -> list[SchemaField]:
    relaxed = list(schema)
    for place, field in enumerate(schema):
        if field.mode == "REQUIRED":
            relaxed[place] = SchemaField.from_api_repr({**field.to_api_repr(), "mode": "NULLABLE"})
            break
    return relaxed


def _table(arena: Arena, random: Random) -> str:
    """One of them, at some moment."""
    settings = arena.site.settings
    destination = random.choice([table.destination for table in settings.tables.values()])
    time.sleep(random.uniform(0, 1))
    return f"{settings.project_id}.{settings.dataset_id}.{destination}"


def _change(client: Client, name: str, change: Change) -> None:
    table = client.get_table(name, timeout=10, retry=RETRY)
    table.schema = change(list(table.schema))
    client.update_table(table, ["schema"], timeout=10, retry=RETRY)


KINDS = [
    kind("BigQuery forgets its streams", streams_forgotten, "bigquery"),
    kind("BigQuery away", away, "bigquery", "lines"),
    kind("BigQuery frozen", frozen, "bigquery"),
    kind("column added in BigQuery", column_added, "bigquery"),
    kind("column relaxed in BigQuery", column_relaxed, "bigquery"),
]
