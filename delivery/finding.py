"""Read one page of what waits and decide each row and item of it. Nothing is written, nothing is remembered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple, Protocol

from delivery.ledger import Lookups
from delivery.rows import Key
from delivery.settle import Outcome, RowRef
from delivery.source import QueuedItem, ReadByColumns, Source
from delivery.triage import Item, RowState, Verdict, triage_item, triage_row

_OUTCOMES: Mapping[Verdict, tuple[Outcome, str | None]] = {
    Verdict.FLAG: (Outcome.FLAGGED, None),
    Verdict.DUPLICATE: (Outcome.COMPLETED, None),
    Verdict.GONE: (Outcome.COMPLETED, None),
    Verdict.NOT_FOUND: (Outcome.FAILED, "row not found: the table has no row with this record id"),
    Verdict.ABANDON: (Outcome.ABANDONED, "BigQuery takes new rows only here, no UPDATE or DELETE"),
}
ITEMS = 1000  # of a page, at most
ONE_BY_ONE = 500  # rows of a page, at most, where they aren't read by columns

_NO_KEY = "the record id is no primary key of this table: enqueue the row's own"


class Found(NamedTuple):
    """A row to be sent: its source values (in the order of the mapping's columns), or its item's payload.

    `suspect`: it may have been sent before: in a time that the database has forgotten, or as whoever asks for it again
    may not know. It has to be looked up first.
    `since`: when it came to wait, by its item or else its age column; measured and paced by, nothing rests on it.
    """

    key: Key
    item: int | None = None
    values: Sequence[object] = ()
    payload: str | None = None
    suspect: bool = False
    since: datetime | None = None

    @property
    def nbytes(self) -> int:
        """About how much memory its values take."""
        return sum([value.__sizeof__() for value in self.values]) + self.payload.__sizeof__()


@dataclass(frozen=True, slots=True)
class Decided:
    """A row that won't be sent, and what becomes of it."""

    row: RowRef
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a page holds. `last`: where the next begins; None: this was the end. `waits`: the items that wait.

    `by_columns`: more rows to be sent, none of which is suspect or has an item.
    """

    found: tuple[Found, ...]
    decided: tuple[Decided, ...]
    last: Key | None
    waits: tuple[int, ...] = ()
    by_columns: ReadByColumns | None = None

    @property
    def since(self) -> datetime | None:
        """Of the first row that says so: since when it waits."""
        of_rows = (row.since for row in self.found if row.since is not None)
        of_columns = () if self.by_columns is None else self.by_columns.since.values()
        return next(chain(of_rows, of_columns), None)


class InFlight(Protocol):
    """What was found before and isn't settled yet."""

    def has_key(self, key: Key) -> bool: ...

    def has_item(self, item: int) -> bool: ...


def find_rows(source: Source, after: Key | None, limit: int, in_flight: InFlight, lookups: Lookups) -> Page:
    """The next rows whose flag is FALSE.

    Raises:
        SourceError, PageTooLong: nothing was decided.
    """
    # What has to be looked up first goes row by row.
    tries_columns = source.by_columns and not lookups.first
    limit = limit if tries_columns else min(limit, ONE_BY_ONE)
    keys = source.waiting_keys(after, limit)
    candidates = [key for key in keys if not in_flight.has_key(key)]
    inserts = source.inserts_of(candidates) if candidates else {}
    verdicts = {key: triage_row(inserts.get(key, ())) for key in candidates} if inserts else {}
    to_send = [key for key, verdict in verdicts.items() if verdict is Verdict.SEND] if inserts else candidates
    last = keys[-1] if len(keys) == limit else None
    # Read last, since most may be left to their items. An item that is committed meanwhile finds its key in flight.
    # By columns all is read that waits between the first and the last.
    by_columns = source.waiting_by_columns(to_send) if tries_columns and 2 * len(to_send) >= len(keys) else None
    if by_columns is None and len(to_send) > ONE_BY_ONE:
        to_send = to_send[:ONE_BY_ONE]
        last = to_send[-1]  # the others are left for the next page
    rows = source.rows(to_send) if to_send and by_columns is None else {}
    return Page(
        found=tuple(
            Found(key, values=row.values, suspect=lookups.first, since=row.since)
            for key, row in rows.items()
            if row.state is RowState.WAITING and not row.settling
        ),
        decided=tuple(
            Decided(RowRef(key), Outcome.FLAGGED) for key, verdict in verdicts.items() if verdict is Verdict.FLAG
        ),
        last=last,
        by_columns=by_columns if by_columns is not None and by_columns.keys else None,
    )


def find_items(
    source: Source, after: int, limit: int, in_flight: InFlight, lookups: Lookups, *, has_flag: bool
) -> Page:
    """The next pending items.

    Raises:
        SourceError: nothing was decided.
    """
    limit = min(limit, ITEMS)
    page = source.pending_items(after, limit)
    queued = [item for item in page if not in_flight.has_item(item.item.id)]
    keys = source.resolve(queued) if queued else {}
    wanted = set(keys.values())
    inserts = _with_page(source.inserts_of(wanted) if wanted else {}, queued, keys)
    rows = source.rows(wanted) if wanted else {}
    found: dict[Key, Found] = {}
    decided: list[Decided] = []
    waits: list[int] = []
    for entry in queued:
        item, key = entry.item, keys.get(entry.item.id)
        if key is None:
            decided.append(Decided(RowRef(None, item.id), Outcome.FAILED, _NO_KEY))
            continue
        row = rows.get(key)
        verdict = triage_item(
            item,
            RowState.ABSENT if row is None else row.state,
            inserts.get(key, ()),
            in_flight=key in found or in_flight.has_key(key),
            has_flag=has_flag,
        )
        if verdict is Verdict.SEND and row is not None and row.settling and entry.payload is None:
            verdict = Verdict.WAIT
        if verdict is Verdict.WAIT:
            waits.append(item.id)
        elif verdict is Verdict.SEND:
            values = () if row is None or entry.payload is not None else row.values
            suspect = lookups.first or item.resend or item.id <= lookups.items_to
            found[key] = Found(key, item.id, values, entry.payload, suspect, entry.since)
        else:
            outcome, reason = _OUTCOMES[verdict]
            decided.append(Decided(RowRef(key, item.id), outcome, reason))
    last = page[-1].item.id if len(page) == limit else None
    return Page(tuple(found.values()), tuple(decided), last, tuple(waits))


def _with_page(
    inserts: Mapping[Key, Sequence[Item]], queued: Iterable[QueuedItem], keys: Mapping[int, Key]
) -> dict[Key, list[Item]]:
    """All INSERT items by key, those of the page included whose record ids spell their keys in another way."""
    items = {key: list(some) for key, some in inserts.items()}
    for entry in queued:
        key = keys.get(entry.item.id)
        if key is not None and entry.item.operation == "INSERT" and entry.record_id != str(key):
            items.setdefault(key, []).append(entry.item)
    return items
