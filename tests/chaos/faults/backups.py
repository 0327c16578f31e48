"""The database is restored from an older backup.

What isn't promised is kept out: that a row which comes after the restore takes the key of one that was lost with it
(bq-sync can't tell them apart), and that a restore under running workers is noticed after they have taken new leases.
"""

import time
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import text

from tests.chaos.arena import Arena
from tests.chaos.faults.kinds import kind
from tests.chaos.one_site import until

SKIPPED_KEYS = 1_000
PATIENCE_SECONDS = 60.0


def restored_by_the_book(arena: Arena, random: Random) -> str:
    """The worker is stopped or dead; the next one is told to look rows up first."""
    if random.random() < 0.5:
        _back_up(arena, random)
    else:
        _back_up_between_workers(arena, random)
    return _restore_by_the_book(arena, random)


def restored_under_workers(arena: Arena, random: Random) -> str:
    leases = _back_up(arena, random)
    with arena.producers.paused():
        if arena.owners() == leases:
            lost = _restore(arena)
            return f"restored under workers, {lost} rows lost"
    return _restore_by_the_book(arena, random)  # a lease is new since: it may not be noticed


def _back_up(arena: Arena, random: Random) -> dict[str, str]:
    """Make the backup, and let some time pass; the leases at that time."""
    time.sleep(random.uniform(0.3, 2))
    leases = arena.owners()
    arena.site.dump(_file(arena))
    time.sleep(random.uniform(0.3, 3))
    return leases


def _back_up_between_workers(arena: Arena, random: Random) -> None:
    """Nothing in the backup tells of the streams that follow, and many of its rows wait to be sent by them."""
    arena.stop_workers()
    time.sleep(random.uniform(0.5, 2))
    leases = arena.owners()
    arena.site.dump(_file(arena))
    arena.start_worker()
    until(lambda: _all_running(arena, leases), PATIENCE_SECONDS, "the worker carries all tables", arena.site.logs)
    time.sleep(random.uniform(0.3, 3))


def _restore_by_the_book(arena: Arena, random: Random) -> str:
    if random.random() < 0.5:
        arena.stop_workers()
    else:
        arena.kill_workers()
    with arena.producers.paused():
        lost = _restore(arena)
    leases = arena.owners()
    arena.start_worker("--lookup-first")  # the only one, until it has every table
    until(
        lambda: _all_running(arena, leases), PATIENCE_SECONDS, "the worker looks up all tables first", arena.site.logs
    )
    return f"restored by the book, {lost} rows lost"


def _all_running(arena: Arena, leases: dict[str, str]) -> bool:
    owners = arena.owners()
    running = arena.site.number("SELECT COUNT(*) FROM bq_sync_table WHERE state = 'running'")
    return running == len(arena.keys) and all(owners[table] != token for table, token in leases.items())


def _restore(arena: Arena) -> int:
    """Restore, and remember which rows were lost by it; how many they are."""
    before = _all_keys(arena)
    arena.site.restore(_file(arena))
    after = _all_keys(arena)
    for table, keys in before.items():
        arena.lost |= {arena.bigquery_id(table, key) for key in keys - after[table]}
        statement = f"ALTER TABLE `{table}` AUTO_INCREMENT = {max(keys, default=0) + SKIPPED_KEYS}"
        arena.insist(partial(arena.site.run, statement))
    return sum(len(keys - after[table]) for table, keys in before.items())


def _all_keys(arena: Arena) -> dict[str, set[int]]:
    with arena.engine.connect() as connection:
        return {
            table: set(connection.scalars(text(f"SELECT `{key}` FROM `{table}`"))) for table, key in arena.keys.items()
        }


def _file(arena: Arena) -> Path:
    return arena.directory / "backup.sql"


KINDS = [
    kind("backup restored by the book", restored_by_the_book),
    kind("backup restored under workers", restored_under_workers),
]
