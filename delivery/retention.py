"""Delete old rows that BigQuery has, and nothing else: one run for one table, in small steps.

A row goes only if all of this holds, and the DELETE itself asks for most of it again: it is marked as synced, it is
older than the cutoff, none of its items waits or failed, and BigQuery has confirmed it by its identity. Rows that were
given up (`abandoned`) go by their age alone. A run that was cut starts anew: what it deleted is gone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from delivery.backoff import Backoff
from delivery.clocks import Clocks
from delivery.confirm import SLACK, Claim, Confirmation
from delivery.errors import LedgerError
from delivery.lease import Lease
from delivery.ledger import ItemStatus
from delivery.old_rows import (
    Confirming,
    Deleted,
    Identities,
    ItemToClean,
    OldRow,
    OldRows,
    RetentionError,
    RetentionTransaction,
)
from delivery.retention_report import Refusal, Report
from delivery.rows import Key
from delivery.source import Source
from delivery.steps import Gentle, Pause, Steps, ask
from delivery.triage import Item, RowState

ROWS_AT_ONCE = 1000  # read, and asked for in one query; deleted in smaller chunks
DOUBTFUL_AT_ONCE = 5000  # rows for which the ledger is read through once
ITEMS_AT_ONCE = 500
MOST_UNCONFIRMED = 10_000  # rows of a run
ATTEMPTS = 5  # at a transaction that the database refuses

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about one table.

    `problem`: why its rows can't be deleted whatever they are (no flag, no age column); None where they can.
    """

    retention_days: int | None
    queries_allowed: bool = True
    chunk_rows: int = 200
    problem: str | None = None


@dataclass(frozen=True)
class Retention:
    """One run. `steps` does it; `report` says how far it is, at any time."""

    policy: Policy
    lease: Lease
    rows: OldRows
    source: Source
    identities: Identities
    destination: Confirming
    now: Callable[[], datetime]
    gentle: Gentle
    report: Report
    backoff: Backoff = field(default_factory=Backoff.for_database)

    def steps(self) -> Steps[datetime]:
        """Delete, or in a dry run only say, what may go; what time it is by the slowest clock.

        Raises:
            RetentionError: as things are, nothing may be deleted.
            DestinationError, LedgerError, SourceError: the run ends here, and may be begun again at any time.
            LeaseLost: another worker owns the table.
        """
        survey = yield from ask(self.destination.survey)
        clocks = Clocks(here := self.now(), self.rows.now() - here, survey.clock_ahead)
        if problem := clocks.problem():
            raise RetentionError(problem)
        if self.policy.retention_days is None:
            self.report.note("retention_days is null: rows are kept for ever")
        elif self.policy.problem is not None:
            self.report.note(self.policy.problem)
        else:
            cutoff = clocks.earliest - timedelta(days=self.policy.retention_days)
            self.report.cutoff = cutoff
            if obstacles := self.rows.obstacles():
                raise RetentionError("; ".join(obstacles))
            for note in self.rows.notes() if self.report.dry_run else ():
                self.report.note(note)
            confirmation = Confirmation(
                self.rows,
                self.destination,
                self.identities,
                self.policy.queries_allowed,
                survey.expiration_days,
                clocks.earliest,
                self.gentle,
            )
            yield from self._synced(cutoff, confirmation)
            told = yield from self._abandoned(cutoff)
            for reason, keys in self.rows.staying(cutoff).items():
                if others := [key for key in keys if key not in told]:
                    self.report.refuse(reason, others)
        return clocks.earliest

    # rows that are marked as synced

    def _synced(self, cutoff: datetime, confirmation: Confirmation) -> Steps[None]:
        doubtful: dict[Key, Claim] = {}
        after = None
        while True:
            started = self.gentle.start()
            page = self.rows.old(cutoff, after, ROWS_AT_ONCE)
            claims = self._claims(page.rows)
            yield self.gentle.rest(started, "reading rows")
            confirmed = yield from confirmation.by_today(claims)
            yield from self._delete({key: claim.age for key, claim in claims.items() if key in confirmed}, cutoff)
            doubtful |= {key: claim for key, claim in claims.items() if key not in confirmed}
            if doubtful and (len(doubtful) >= DOUBTFUL_AT_ONCE or page.next is None):
                verdict = yield from confirmation.by_record(doubtful)
                for key, reason in verdict.refused.items():
                    self.report.refuse(reason, [key])
                yield from self._delete(
                    {key: doubtful[key].age for key in doubtful if key in verdict.confirmed}, cutoff
                )
                doubtful = {}
                self._demand_trust()
            if page.next is None:
                return
            after = page.next

    def _demand_trust(self) -> None:
        """A few rows may be missing there; with very many something else is wrong, and each costs a look-up a day."""
        unconfirmed = self.report.unconfirmed
        if unconfirmed >= MOST_UNCONFIRMED:
            raise RetentionError(
                f"{unconfirmed:,} rows that are marked as sent aren't found: was BigQuery's table dropped or emptied,"
                " or `identity` changed? Nothing more is deleted until they are there, or are deleted here by hand",
                tomorrow=True,
            )

    def _claims(self, old: Sequence[OldRow]) -> dict[Key, Claim]:
        """What the rows are known by; those that an item forbids to delete are refused."""
        ages = {row.key: row.age for row in old}
        if not ages:
            return {}
        inserts = self.source.inserts_of(ages)
        claims: dict[Key, Claim] = {}
        for key, row in self.source.rows(ages).items():
            if (reason := refusal(inserts.get(key, ()))) is not None:
                self.report.refuse(reason, [key])
            elif row.state is RowState.SYNCED:  # else it has changed since it was found
                claims[key] = Claim(ages[key], self.identities.read(row.values))
        return claims

    def _delete(self, ages: Mapping[Key, datetime], cutoff: datetime) -> Steps[None]:
        yield from self._delete_in_chunks(ages, lambda tx, keys: tx.delete_synced(keys, cutoff))

    # rows that were given up

    def _abandoned(self, cutoff: datetime) -> Steps[set[Key]]:
        """Delete them; which of those that are there the report tells of."""
        after = 0
        told: set[Key] = set()
        while True:
            started = self.gentle.start()
            items = self.rows.items_to_clean(ItemStatus.ABANDONED, None, after, ITEMS_AT_ONCE)
            made = self._given_up(items)
            inserts = self.source.inserts_of(made) if made else {}
            free = [key for key in made if refusal(inserts.get(key, ())) is None]
            old = self.rows.old_unsynced(free, cutoff) if free else {}
            # An item that was made before the row was there is of another row, which had the same key once.
            ages = {key: age for key, age in old.items() if made[key] >= age - SLACK}
            yield self.gentle.rest(started, "reading items")
            deleted = yield from self._delete_in_chunks(ages, lambda tx, keys: tx.delete_abandoned(keys, cutoff))
            self.report.abandoned += deleted.rows
            told |= ages.keys() if self.report.dry_run else deleted.refused.keys()
            if not items:
                return told
            after = items[-1].queued.item.id

    def _given_up(self, items: Sequence[ItemToClean]) -> dict[Key, datetime]:
        """The keys that these items give up, and when the last such item was made."""
        inserts = [entry for entry in items if entry.queued.item.operation == "INSERT"]
        keys = self.source.resolve([entry.queued for entry in inserts]) if inserts else {}
        made: dict[Key, datetime] = {}
        for entry in inserts:
            if (key := keys.get(entry.queued.item.id)) is not None:
                made[key] = max(entry.done_at, made.get(key, entry.done_at))
        return made

    # transactions

    def _delete_in_chunks(
        self, ages: Mapping[Key, datetime], delete: Callable[[RetentionTransaction, Sequence[Key]], Deleted]
    ) -> Steps[Deleted]:
        """Delete rows, each chunk in a transaction of its own; how many went, or would go, and which stay."""
        if self.report.dry_run:
            self.report.went(len(ages), ages.values())
            return Deleted(len(ages))
        went, refused = 0, dict[Key, Refusal]()
        for chunk in _chunks(list(ages), self.policy.chunk_rows):
            deleted = yield from self._chunk(chunk, delete)
            went += deleted.rows
            refused |= deleted.refused
            self.report.went(deleted.rows, [ages[key] for key in chunk if key not in refused] if deleted.rows else [])
            for key, reason in deleted.refused.items():
                self.report.refuse(reason, [key])
            for note in deleted.notes:
                self.report.note(note)
        return Deleted(went, refused)

    def _chunk(
        self, keys: Sequence[Key], delete: Callable[[RetentionTransaction, Sequence[Key]], Deleted]
    ) -> Steps[Deleted]:
        gone = 0
        for attempt in range(1, ATTEMPTS + 1):
            started = self.gentle.start()
            try:
                with self.rows.transaction(self.lease) as tx:
                    deleted = delete(tx, keys)
            except LedgerError as error:
                if attempt == ATTEMPTS:
                    raise
                yield Pause(self.backoff.next())
                if error.outcome_unknown:  # what is gone by now went by this COMMIT
                    there = self.source.rows(keys)
                    gone += sum(key not in there for key in keys)
                    keys = [key for key in keys if key in there]
            else:
                self.backoff.reset()
                yield self.gentle.rest(started, "deleting rows")
                return Deleted(deleted.rows + gone, deleted.refused, deleted.notes)
        raise AssertionError("unreachable: the last attempt returns or raises")


def refusal(inserts: Sequence[Item]) -> Refusal | None:
    """Why a row may not go, by the INSERT items of its key; None: they don't forbid it."""
    statuses = {item.status for item in inserts}
    if statuses & {ItemStatus.PENDING, ItemStatus.SYNCING}:
        return Refusal.WAITS
    return Refusal.FAILED if ItemStatus.FAILED in statuses else None


def _chunks(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
