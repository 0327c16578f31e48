"""Backfills of a site's table `notes`, in this process."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from delivery.backfill import Selection
from delivery.backfill_report import BackfillReport
from delivery.bulk_backfill import Limits
from operations.backfill import backfill
from operations.bulk_backfill import bulk_backfill
from operations.reaching import Reached, reaching
from tests.integration.pipeline import Site


def history(site: Site, rows: int, *, label: str | None = "as it was") -> list[int]:
    """Add so many rows whose flag is NULL, an hour apart; their keys."""
    before = len(keys(site))
    site.run(
        "INSERT INTO notes (label, written_at, synced_to_bq)"
        f" SELECT :label, '2026-01-05 00:00:00' + INTERVAL seq HOUR, NULL FROM seq_1_to_{rows}",
        label=label,
    )
    return keys(site)[before:]


def keys(site: Site) -> list[int]:
    return [key for (key,) in site.read("SELECT id FROM notes ORDER BY id")]


def flags(site: Site) -> Counter[int | None]:
    """How many rows have which flag."""
    return Counter(flag for (flag,) in site.read("SELECT synced_to_bq FROM notes"))


def sent(site: Site) -> list[str]:
    """What BigQuery has, each row by its id."""
    return sorted(str(row["note_id"]) for row in site.sent("notes"))


def ids(*some: int) -> list[str]:
    return sorted(f"note_{key}" for key in some)


@contextmanager
def reached(site: Site) -> Iterator[Reached]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.emulator.environment().items():
            patch.setenv(name, value)
        with reaching(site.settings.model_copy(update={"database_url": SecretStr(site.url)})) as both:
            yield both


def run(
    site: Site,
    selection: Selection | None = None,
    *,
    most_waiting: int = 500,
    dry_run: bool = False,
    show: Callable[[BackfillReport], None] = lambda _: None,
    worker_seconds: float = 10.0,
) -> BackfillReport:
    report = BackfillReport()
    with reached(site) as both:
        backfill(
            both,
            "notes",
            selection or Selection(),
            report,
            lambda: show(report),
            most_waiting=most_waiting,
            dry_run=dry_run,
            worker_seconds=worker_seconds,
        )
    return report


def run_bulk(
    site: Site,
    selection: Selection | None = None,
    *,
    limits: Limits | None = None,
    show: Callable[[BackfillReport], None] = lambda _: None,
) -> BackfillReport:
    report = BackfillReport()
    with reached(site) as both:
        bulk_backfill(both, "notes", selection or Selection(), limits or Limits(), report, lambda: show(report))
    return report
