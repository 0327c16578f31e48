"""Clean bq-sync's own tables: what is done with goes by its age, but never before something that rests on it.

docs/exactly-once.md says what rests on what.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.lease import Lease
from delivery.ledger import ItemStatus
from delivery.old_rows import BatchToClean, ItemToClean, OldRows, RetentionTransaction
from delivery.retention_report import Report
from delivery.source import Source
from delivery.steps import Gentle, Steps
from delivery.triage import Item, RowState

AT_ONCE = 500
BATCHES_AT_ONCE = 20  # each holds up to thousands of keys
COMMAND_DAYS = 30

_OPEN = frozenset({ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED})


@dataclass(frozen=True)
class Cleaning:
    """One run of it for one table.

    Args:
        rows_rest: source rows are deleted by what the ledger knows of them, so that a batch stays as long as its rows.
        now: by the slowest clock.
    """

    lease: Lease
    rows: OldRows
    source: Source
    gentle: Gentle
    report: Report
    completed_days: int
    ledger_days: int
    rows_rest: bool
    now: datetime

    def steps(self) -> Steps[None]:
        """Clean everything that may go; nothing in a dry run. Raises what `Retention.steps` does."""
        if self.report.dry_run:
            return
        yield from self._items(ItemStatus.COMPLETED)
        yield from self._items(ItemStatus.ABANDONED)
        yield from self._batches()
        ledger, commands = self._ago(self.ledger_days), self._ago(COMMAND_DAYS)
        yield from self._until_none("streams", lambda tx: tx.delete_streams(ledger, AT_ONCE))
        yield from self._until_none("commands", lambda tx: tx.delete_commands(commands, AT_ONCE))

    def _items(self, status: ItemStatus) -> Steps[None]:
        after, before = 0, self._ago(self.completed_days)
        while True:
            started = self.gentle.start()
            page = self.rows.items_to_clean(status, before, after, AT_ONCE)
            if ids := self._free_items([entry for entry in page if entry.done_at < before]):
                with self.rows.transaction(self.lease) as tx:
                    self.report.cleaned["items"] += tx.delete_items(ids, status)
            if not page:
                return
            after = page[-1].queued.item.id
            yield self.gentle.rest(started, "cleaning items")

    def _free_items(self, page: Sequence[ItemToClean]) -> list[int]:
        keys = self.source.resolve([entry.queued for entry in page]) if page else {}
        wanted = set(keys.values())
        inserts = self.source.inserts_of(wanted) if wanted else {}
        rows = self.source.rows(wanted) if wanted else {}
        free = []
        for entry in page:
            key = keys.get(entry.queued.item.id)
            row = None if key is None else rows.get(key)
            state = RowState.ABSENT if row is None else row.state
            if item_may_go(entry, state, () if key is None else inserts.get(key, ())):
                free.append(entry.queued.item.id)
        return free

    def _batches(self) -> Steps[None]:
        after, before = 0, self._ago(self.ledger_days)
        while True:
            started = self.gentle.start()
            page = self.rows.batches_to_clean(before, after, BATCHES_AT_ONCE)
            free = [batch.id for batch in page if not self._is_needed(batch)]
            if free:
                with self.rows.transaction(self.lease) as tx:
                    self.report.cleaned["batches"] += tx.delete_batches(free)
            if not page:
                return
            after = page[-1].id
            yield self.gentle.rest(started, "cleaning batches")

    def _is_needed(self, batch: BatchToClean) -> bool:
        return self.rows_rest and bool(batch.keys) and self.rows.any_there(batch.keys)

    def _until_none(self, what: str, delete: Callable[[RetentionTransaction], int]) -> Steps[None]:
        while True:
            started = self.gentle.start()
            with self.rows.transaction(self.lease) as tx:
                went = delete(tx)
            self.report.cleaned[what] += went
            if went < AT_ONCE:
                return
            yield self.gentle.rest(started, what)

    def _ago(self, days: int) -> datetime:
        return self.now - timedelta(days=days)


def item_may_go(entry: ItemToClean, row: RowState, inserts: Sequence[Item]) -> bool:
    """Whether nothing rests on an item that is done with.

    Args:
        row: the state of its row.
        inserts: all INSERT items of its key.
    """
    item = entry.queued.item
    if item.status is ItemStatus.ABANDONED:
        return row is RowState.ABSENT
    if not item.sent:
        return True  # it decides about nothing
    if row is RowState.SYNCED:
        return not entry.evidence
    return row is RowState.ABSENT and not any(other.status in _OPEN for other in inserts)
