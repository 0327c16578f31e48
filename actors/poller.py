"""Poller: finds rows and items that wait, decides by triage, and knows what is in flight. It only reads."""

from collections.abc import Iterable
from typing import cast

import structlog

from actors.messages import (
    ColumnsFound,
    Flush,
    GoOn,
    LookupPassDone,
    LookupsChanged,
    RecoveryNeeded,
    RetryDue,
    RetryNow,
    RowsDecided,
    RowsFound,
    RowsSettled,
    Tick,
)
from actors.parts import Clock, PipelineActor, Recipient, Scheduler
from actors.retries import Retries
from actors.room import Room
from delivery.backoff import Backoff
from delivery.finding import Page, find_items, find_rows
from delivery.ledger import Lookups
from delivery.rows import Key
from delivery.settle import Outcome, RowRef
from delivery.source import PageTooLong, Source, SourceChangedError, SourceError
from delivery.throttle import Throttle

STRAYS_SECONDS = 60.0  # how often the ledger is asked for batches that aren't ours, while nothing is in flight


class Poller(PipelineActor):
    """Reads in passes: all pending items by id and all waiting rows by key, a page of each in turn, as room allows.

    A pass starts at the beginning each time, so that a transaction which took a low id and committed late isn't missed.
    Each page is read and filtered within one message, so that a row which was read before its flag was set is still
    known to be in flight.

    Args:
        room: how much may be in flight; a take-over starts with the keys of appended batches in it.
        poll_seconds: how often a pass begins while nothing is known to wait.
        lookups: what has to be looked up before it is sent.
        settle_seconds: how long a row may be left alone: no pass that began earlier saw every row.
    """

    def __init__(
        self,
        upstream: Recipient,
        batcher: Recipient,
        marker: Recipient,
        source: Source,
        room: Room,
        scheduler: Scheduler,
        clock: Clock,
        poll_seconds: float,
        lookups: Lookups,
        settle_seconds: float = 0.0,
        has_flag: bool = True,
        backoff: Backoff | None = None,
        throttle: Throttle | None = None,
        *,
        table: str,
    ) -> None:
        super().__init__(upstream, table)
        self._throttle = throttle or Throttle.none()
        self._batcher = batcher
        self._marker = marker
        self._source = source
        self._room = room
        self._scheduler = scheduler
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._lookups = lookups
        self._lookups_from = clock.monotonic() + settle_seconds
        self._has_flag = has_flag
        log = structlog.get_logger(__name__).bind(table=table)
        self._retries = Retries("Poller", self.actor_ref, upstream, scheduler, log)
        self._backoff = backoff or Backoff.for_database()
        self._after_item: int | None = None  # where the pass has read to; None: to the end
        self._after_key: Key | None = None
        self._keys_left = False
        self._barriers: list[Flush] = []  # for the next pass
        self._pass_barriers: list[Flush] = []  # of this one
        self._pass_counts = False  # this pass can end the look-ups
        self._waits_for_room = False
        self._strays: frozenset[int] = frozenset()  # batches that were open although nothing was in flight
        self._look_for_strays_at = clock.monotonic() + STRAYS_SECONDS

    def on_receive(self, message: object) -> None:
        match message:
            case Tick():
                self._scheduler.after(self._poll_seconds, self.actor_ref, Tick())
                self._begin_pass()
            case GoOn() if self._in_pass:
                self._read()
            case RowsSettled(rows):
                self._settled(rows)
            case RetryDue() | RetryNow():
                self._retries.receive(message)
            case Flush():
                self._barriers.append(message)
                self._begin_pass()
            case LookupsChanged(lookups):
                self._lookups = lookups

    # passes

    @property
    def _in_pass(self) -> bool:
        return self._after_item is not None or self._keys_left

    @property
    def _begins(self) -> bool:
        """Nothing of the pass has been read."""
        return self._after_item == 0 and self._after_key is None and self._keys_left

    def _begin_pass(self) -> None:
        if self._in_pass or self._looking_up_is_done:
            return
        self._after_item, self._after_key, self._keys_left = 0, None, True
        self._pass_barriers += self._barriers  # what a failed read has kept from being handed on is there still
        self._barriers = []
        # Of a row that is left aside such a pass would know nothing.
        sees_all = self._clock.monotonic() >= self._lookups_from and not self._room.leaves_aside
        self._pass_counts = self._lookups.first and sees_all
        self._read()

    def _end_pass(self) -> None:
        for flush in self._pass_barriers:
            self._batcher.tell(flush)
        self._pass_barriers = []
        self._end_lookups()
        if self._barriers:
            self._begin_pass()

    @property
    def _looking_up_is_done(self) -> bool:
        """A whole pass was looked up; what it found has to be settled before the look-ups end."""
        return self._pass_counts and not self._in_pass

    def _end_lookups(self) -> None:
        if self._looking_up_is_done and self._room.is_empty:
            self._pass_counts = False
            self.upstream.tell(LookupPassDone())

    def _settled(self, rows: Iterable[RowRef]) -> None:
        self._room.free(rows)
        self._end_lookups()
        if self._waits_for_room:
            self._waits_for_room = False
            self._go_on()

    def _read(self) -> None:
        """Read one page of items and one of rows, and go on as long as there is room."""
        try:
            with self._throttle.work():
                if self._begins and self._room.is_empty and not self._source.anything_waits():
                    self._after_item, self._keys_left = None, False
                self._read_items()
                self._read_keys()
                strays = self._find_strays()
        except SourceError as error:
            self._room.expect_large_rows()
            self._retries.wait("could not read what waits", str(error), self._backoff, self._read)
            return
        except SourceChangedError as changed:
            self.upstream.tell(RecoveryNeeded(str(changed)))  # the next pipeline is made for the table as it is then
            return
        self._retries.succeeded(self._backoff)
        if strays:
            reason = f"batch {min(strays)} is open again: the database went back in time"
            self.upstream.tell(RecoveryNeeded(reason, look_up=True))
        elif not self._in_pass:
            self._end_pass()
        elif self._room.page():
            self._go_on()
        else:
            self._waits_for_room = True

    def _go_on(self) -> None:
        """Read the next page, when others have had their turn."""
        rest = self._throttle.rest()
        if rest:
            self._scheduler.after(rest, self.actor_ref, GoOn())
        else:
            self.actor_ref.tell(GoOn())

    def _page(self) -> int:
        return self._room.page(gentle=self._throttle.gentle)

    def _read_items(self) -> None:
        if self._after_item is not None and (limit := self._page()):
            page = find_items(self._source, self._after_item, limit, self._room, self._lookups, has_flag=self._has_flag)
            self._after_item = cast("int | None", page.last)
            self._pass_counts = self._pass_counts and all(item > self._lookups.items_to for item in page.waits)
            self._hand_on(page)

    def _read_keys(self) -> None:
        if self._keys_left and (limit := self._page()):
            try:
                page = find_rows(self._source, self._after_key, limit, self._room, self._lookups)
            except PageTooLong as too_long:
                self._room.expect_larger_rows(too_long.rows)
                return  # the pass goes on from where it is
            self._after_key, self._keys_left = page.last, page.last is not None
            self._hand_on(page)

    def _find_strays(self) -> frozenset[int]:
        """Batches that are open twice in a row while nothing is in flight: a backup was restored that has them.

        Where something waits, `delivery.begin` notices such a restore. Here nothing would, and they stay as they are.
        """
        if self._in_pass or not self._room.is_empty or self._clock.monotonic() < self._look_for_strays_at:
            return frozenset()
        self._look_for_strays_at = self._clock.monotonic() + STRAYS_SECONDS
        before, self._strays = self._strays, frozenset(self._source.open_batches())
        return before & self._strays

    def _hand_on(self, page: Page) -> None:
        self._room.add(page.found)
        since = page.since
        if since is not None:
            self._throttle.found(self._clock.time() - since.timestamp())
        if page.found:
            self._batcher.tell(RowsFound(page.found))
        if page.by_columns is not None:
            self._room.add_columns(page.by_columns)
            self._batcher.tell(ColumnsFound(page.by_columns))
        alike: dict[tuple[Outcome, str | None], list[RowRef]] = {}
        for decided in page.decided:
            self._room.add_decided(decided.row)
            alike.setdefault((decided.outcome, decided.reason), []).append(decided.row)
        for (outcome, reason), rows in alike.items():
            self._marker.tell(RowsDecided(tuple(rows), outcome, reason))
