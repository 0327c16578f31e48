"""Whether BigQuery has rows that are marked as synced: the question that retention asks before it deletes any."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Protocol

from delivery.old_rows import Confirming, Identities, OldRows, RecordedBatch
from delivery.retention_report import Refusal
from delivery.rows import Key, SentRow, SentRows
from delivery.steps import Gentle, Steps, ask

GAP = timedelta(days=3)  # between rows of one query: what lies between is read too
WIDEST = timedelta(days=31)  # of one query
BATCHES_AT_ONCE = 20
SLACK = timedelta(days=1)  # of the clocks and zones that a row's age and a batch's end are told by


class LooksUp(Protocol):
    """What of BigQuery's table is asked here."""

    def look_up(self, rows: SentRows) -> frozenset[int]:
        """See `delivery.destination.Destination.look_up`."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that is marked as synced: its age, and what it would be known by today (None: nothing)."""

    age: datetime
    sent: SentRow | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which of the claims hold, and why the others don't."""

    confirmed: frozenset[Key]
    refused: Mapping[Key, Refusal]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Confirms claims of one run.

    Args:
        queries_allowed: else the ledger's word is taken (verify_before_delete: ledger).
        expiration_days: after so many days BigQuery drops partitions; what it dropped can't be looked up.
        now: by the slowest clock.
    """

    rows: OldRows
    destination: Confirming
    identities: Identities
    queries_allowed: bool
    expiration_days: float | None
    now: datetime
    gentle: Gentle

    def by_today(self, claims: Mapping[Key, Claim]) -> Steps[frozenset[Key]]:
        """Those that BigQuery has under what the mapping makes of them today: the ordinary case."""
        if not self.queries_allowed:
            return frozenset()
        known = [claim.sent for claim in claims.values() if claim.sent is not None]
        return (yield from looked_up(self.destination, self.identities.of(known)))

    def by_record(self, claims: Mapping[Key, Claim]) -> Steps[Verdict]:
        """Decide those that weren't found so, by what the ledger recorded when they were sent: the rare case."""
        recorded = yield from self._search(claims)
        sent = self.rows.sent_items([key for key in claims if key not in recorded])
        in_ledger = recorded.keys() | {key for key, at in sent.items() if at >= claims[key].age - SLACK}
        if not self.queries_allowed:
            return _verdict(claims, frozenset(in_ledger), Refusal.NOT_IN_LEDGER)
        confirmed = {key for key in in_ledger if self.has_expired(_partition(recorded.get(key), claims[key]))}
        alike: dict[tuple[tuple[str, ...], str | None], list[SentRow]] = {}
        for key, was in recorded.items():
            today = claims[key].sent
            if key not in confirmed and (today is None or was != self.identities.of([today])):
                alike.setdefault((was.identity_columns, was.partition_column), []).append(was.rows[0])
        for (identity, partition), rows in alike.items():
            confirmed |= yield from looked_up(self.destination, SentRows(identity, partition, tuple(rows)))
        return _verdict(claims, frozenset(confirmed), Refusal.NOT_IN_BIGQUERY)

    def _search(self, claims: Mapping[Key, Claim]) -> Steps[Mapping[Key, SentRows]]:
        """What the last completed batch that holds the row has recorded of it.

        A batch that was completed before the row was there holds another row, which had the same key once.
        """
        found: dict[Key, SentRows] = {}
        if not claims:
            return found
        since, after = min(claim.age for claim in claims.values()) - SLACK, 0
        while True:
            started = self.gentle.start()
            page = self.rows.recorded(since, after, BATCHES_AT_ONCE, claims.keys())
            for batch in page:
                found |= _held(batch, claims)
            if not page or (not self.queries_allowed and len(found) == len(claims)):
                return found  # where it needn't be looked up, any batch will do
            after = page[-1].id
            yield self.gentle.rest(started, "reading the ledger")

    def has_expired(self, partition: object) -> bool:
        """Whether BigQuery has dropped the partition, so that a look-up says nothing."""
        if self.expiration_days is None:
            return False
        moment = _moment(partition)
        # A day more than that: a partition is a day or longer, and counts from its start.
        return moment is not None and moment + timedelta(days=self.expiration_days + 1) < self.now


def looked_up(destination: LooksUp, rows: SentRows) -> Steps[frozenset[Key]]:
    """The keys of those that BigQuery has, asked for in groups that lie near each other."""
    there: set[Key] = set()
    for group in near_each_other(rows):
        places = yield from ask(partial(destination.look_up, group))
        there.update(group.rows[place].key for place in places)
    return frozenset(there)


def near_each_other(rows: SentRows) -> Iterator[SentRows]:
    """The rows in groups whose partitions lie close together, so that a query needn't read what lies between."""
    moments = [(_moment(row.partition), place) for place, row in enumerate(rows.rows)]
    without = [place for moment, place in moments if moment is None]
    if without:
        yield rows.take(without)
    group: list[int] = []
    first = last = None
    for moment, place in sorted((moment, place) for moment, place in moments if moment is not None):
        if first is not None and last is not None and (moment - last > GAP or moment - first > WIDEST):
            yield rows.take(group)
            group, first = [], None
        group.append(place)
        first, last = first or moment, moment
    if group:
        yield rows.take(group)


def _held(batch: RecordedBatch, claims: Mapping[Key, Claim]) -> dict[Key, SentRows]:
    """What the batch has recorded of claims that it can be about."""
    return {
        row.key: batch.rows.take([place])
        for place, row in enumerate(batch.rows.rows)
        if (claim := claims.get(row.key)) is not None and batch.ended_at >= claim.age - SLACK
    }


def _verdict(claims: Mapping[Key, Claim], confirmed: frozenset[Key], otherwise: Refusal) -> Verdict:
    return Verdict(confirmed, {key: otherwise for key in claims if key not in confirmed})


def _partition(recorded: SentRows | None, claim: Claim) -> object:
    """The value of the partitioning column that the row was sent with, as far as that is known."""
    if recorded is not None:
        return recorded.rows[0].partition
    return claim.sent.partition if claim.sent is not None else None


def _moment(partition: object) -> datetime | None:
    """When a partition by time begins at the earliest; None for one that isn't by time."""
    match partition:
        case datetime():
            return partition if partition.tzinfo else partition.replace(tzinfo=UTC)
        case date():
            return datetime(partition.year, partition.month, partition.day, tzinfo=UTC)
        case _:
            return None
