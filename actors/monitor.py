"""Monitor: looks after the whole site, tells the alert channels what is wrong, and BigQuery hourly that we live."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from actors.background import Background
from actors.messages import AlertsSent, HeartbeatSent, LeaseGone, Tick
from actors.owned import Locks
from actors.parts import Clock, Scheduler, SupervisedActor
from alerts.incidents import Incidents, Moment, News, level_of
from alerts.message import Message, Site, compose
from alerts.outbox import Outbox
from database.incidents import SITE, Incident
from delivery.backoff import Backoff
from delivery.errors import DestinationError, LeaseLost, LedgerError
from delivery.lease import Lease, new_token
from operations.health import Health, Level, Sight

LOOK_SECONDS = 60.0
STANDBY_SECONDS = 30.0
GIVE_WAY_SECONDS = 90.0  # long enough for one that stands by to take the lock
HEARTBEAT_SECONDS = 3600.0


class Record(Protocol):
    """What the database keeps for the site: `database.incidents.SiteRecord`."""

    def grant(self, lease: Lease) -> None: ...

    def site_id(self) -> str: ...

    def incidents(self) -> Sequence[Incident]: ...

    def keep(self, lease: Lease, changed: Collection[Incident], gone: Collection[str]) -> None: ...


class Channels(Protocol):
    """Where alerts go: `alerts.channels.Channels`."""

    def __len__(self) -> int: ...

    def name(self, place: int) -> str: ...

    def send(self, messages: Mapping[int, Message]) -> Mapping[int, str | None]: ...


class Monitor(SupervisedActor):
    """One at work per site: the one that holds the site's lock; others stand by. Nothing that it meets ends it.

    Args:
        look: how the site fares; says it where the database doesn't answer.
        heartbeat: writes a row about the site; may raise DestinationError. None: nobody wants to hear of us.
        background: runs what may hang; one for the channels, one for the heartbeat.
        gives_way: to the Monitor of any worker that runs, since that one has all that is needed.
    """

    def __init__(
        self,
        locks: Locks,
        record: Record,
        look: Callable[[], Sight],
        channels: Channels,
        scheduler: Scheduler,
        clock: Clock,
        wall: Callable[[], datetime],
        background: Callable[[str, Callable[[Exception], None]], Background],
        failed: Callable[[str, BaseException], None],
        heartbeat: Callable[[str, Sight, datetime], None] | None = None,
        gives_way: bool = False,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(failed)
        self._locks = locks
        self._record = record
        self._look = look
        self._channels = channels
        self._heartbeat = heartbeat
        self._scheduler = scheduler
        self._clock = clock
        self._wall = wall
        self._gives_way = gives_way
        self._site = Site(None)
        self._lease: Lease | None = None
        self._stands_by = False
        self._incidents = Incidents()
        self._outbox = Outbox(backoff() for _ in range(len(channels)))
        self._sending: Mapping[int, tuple[News, ...]] = {}
        self._failing: dict[int, str] = {}  # channels that didn't take the last alert, and why
        self._next_beat = 0.0
        self._beating = False
        self._beat_fails = False
        self._beat_backoff = backoff()
        self._post_thread = background("alerts", self._post_failed) if len(channels) else None
        self._beat_thread = background("heartbeat", self._beat_failed) if heartbeat else None
        self._log = structlog.get_logger(__name__)

    def on_receive(self, message: object) -> None:
        delay = LOOK_SECONDS
        try:
            match message:
                case Tick():
                    delay = self._tick()
                case AlertsSent(problems):
                    self._sent(problems)
                case HeartbeatSent(problem):
                    self._beaten(problem)
                case LeaseGone(connection_id=lost) if self._lease and lost == self._lease.connection_id:
                    self._lease = None
        except Exception as error:  # noqa: BLE001  who tells of all trouble mustn't end of any
            self._log.error("could not look after the site", exc_info=error)
        if isinstance(message, Tick):
            self._scheduler.after(delay, self.actor_ref, Tick())

    def _tick(self) -> float:
        """Look, and tell; returns in how many seconds to look again."""
        if self._lease is None and not self._take():
            return STANDBY_SECONDS
        sight = self._look()
        self._tell(self._incidents.look(sight.health, self._now()))
        self._beat(sight)
        if self._gives_way and sight.workers_alive and self._lease is not None:
            self._locks.release(SITE)
            self._stand_by()
            return GIVE_WAY_SECONDS
        return LOOK_SECONDS

    # the site's lock

    def _take(self) -> bool:
        """Whether it is on us to look: we hold the site's lock, or held it until the database went away."""
        try:
            if (connection_id := self._locks.take(SITE)) is None:
                self._stand_by()
                # What the other Monitor can't know, since the database couldn't be told: it answers us again.
                self._tell(self._incidents.look(Health(), self._now()))
                return False
            self._stands_by = False
            lease = Lease(SITE, new_token(), connection_id)
            self._record.grant(lease)
            self._site = Site(self._record.site_id(), self._site.host)
            self._outbox.add(self._incidents.take_over(self._record.incidents()))
            self._lease = lease
        except LedgerError:
            return not self._stands_by
        return True

    def _stand_by(self) -> None:
        self._lease = None
        self._stands_by = True
        self._outbox.keep(self._incidents.hand_over())

    # alerts

    def _tell(self, news: Sequence[News]) -> None:
        for text, each in {each.incident.description: each for each in news}.items():
            kind = each.incident.name.partition(":")[0]
            if each.is_over:
                self._log.info("an incident is over", incident=kind, reason=text)
            else:
                log = self._log.error if level_of(each.incident) is Level.UNHEALTHY else self._log.warning
                log("an incident has begun", incident=kind, reason=text)
        if self._post_thread is None:
            self._incidents.told(news, self._wall())  # the log is all there is
        else:
            self._outbox.add(news)
        self._keep()
        self._post()

    def _keep(self) -> None:
        changed, gone = self._incidents.unkept
        if self._lease is None or not (changed or gone):
            return
        try:
            self._record.keep(self._lease, changed, gone)
        except LedgerError as error:
            self._log.debug("could not keep the incidents; tried again", reason=str(error))
        except LeaseLost:
            self._lease = None
        else:
            self._incidents.kept()

    def _post(self) -> None:
        if self._sending or self._post_thread is None:
            return
        if not (due := self._outbox.due(self._clock.monotonic())):
            return
        self._sending = due
        now, still = self._wall(), self._incidents.open
        messages = {place: compose(self._site, news, still, now) for place, news in due.items()}
        self._post_thread.run(lambda: self.actor_ref.tell(AlertsSent(self._channels.send(messages))))

    def _post_failed(self, error: Exception) -> None:
        problem = f"it failed ({type(error).__name__})"
        self.actor_ref.tell(AlertsSent(dict.fromkeys(range(len(self._channels)), problem)))

    def _sent(self, problems: Mapping[int, str | None]) -> None:
        sent, self._sending = self._sending, {}
        for place, news in sent.items():
            if (problem := problems.get(place)) is None:
                self._outbox.delivered(place, news)
                self._incidents.told(news, self._wall())
                if self._failing.pop(place, None):
                    self._log.info("the channel takes alerts again", channel=self._channels.name(place))
                continue
            retry_in = round(self._outbox.refused(place, self._clock.monotonic()))
            if self._failing.get(place) != problem:
                self._failing[place] = problem
                channel = self._channels.name(place)
                self._log.error("an alert could not be sent", channel=channel, reason=problem, retry_in=retry_in)
        self._keep()
        self._post()

    # the heartbeat

    def _beat(self, sight: Sight) -> None:
        due = self._clock.monotonic() >= self._next_beat
        if self._heartbeat is None or self._beat_thread is None or self._beating or not due or self._site.id is None:
            return
        self._beating = True
        heartbeat, site, now = self._heartbeat, self._site.id, self._wall()

        def beat() -> None:
            try:
                heartbeat(site, sight, now)
            except DestinationError as error:
                self.actor_ref.tell(HeartbeatSent(str(error)))
            else:
                self.actor_ref.tell(HeartbeatSent(None))

        self._beat_thread.run(beat)

    def _beat_failed(self, error: Exception) -> None:
        self.actor_ref.tell(HeartbeatSent(f"it failed ({type(error).__name__})"))

    def _beaten(self, problem: str | None) -> None:
        self._beating = False
        now = self._clock.monotonic()
        if problem is None:
            self._beat_backoff.reset()
            self._next_beat = now + HEARTBEAT_SECONDS
            if self._beat_fails:
                self._log.info("the heartbeat gets through again")
        else:
            self._next_beat = now + self._beat_backoff.next()
            if not self._beat_fails:
                self._log.warning("the heartbeat could not be sent; it is tried again", reason=problem)
        self._beat_fails = problem is not None

    def _now(self) -> Moment:
        return Moment(self._clock.monotonic(), self._wall())
