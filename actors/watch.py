"""The Monitor, wired: in a worker, and where the API stands alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pykka
import structlog
from sqlalchemy import Engine

from actors.background import BackgroundThread
from actors.messages import LeaseGone, Tick
from actors.monitor import STANDBY_SECONDS, Monitor
from actors.parts import Link, Scheduler
from actors.scheduler import SystemClock, ThreadScheduler
from alerts.channels import Channels
from config.settings import Settings
from database.engine import connect, connect_for_looking, connect_unpooled
from database.incidents import SiteRecord
from database.locks import Locks
from database.status import StatusReader
from operations.health import Sight, Thresholds, look

Heartbeat = Callable[[str, Sight, datetime], None]
ObserveEngine = Callable[[Engine, str], None]

log = structlog.get_logger(__name__)


def start_monitor(
    settings: Settings,
    looking: Engine,
    writing: Engine,
    locks: Locks,
    scheduler: Scheduler,
    heartbeat: Heartbeat | None = None,
    gives_way: bool = False,
) -> pykka.ActorRef[Monitor]:
    """A Monitor that begins with its first Tick.

    Args:
        looking: `database.engine.connect_for_looking`.
    """
    return Monitor.start(
        locks,
        SiteRecord(writing, settings.site_id),
        partial(look, StatusReader(looking, settings).read, Thresholds.of(settings)),
        Channels(settings.alert_urls),
        scheduler,
        SystemClock(),
        lambda: datetime.now(UTC),
        BackgroundThread,
        lambda name, _: log.error("nobody looks after the site from this process any more", actor=name),
        heartbeat,
        gives_way,
    )


class Watch:
    """A Monitor by itself, for a process without a worker: it tells that there is none."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._scheduler = ThreadScheduler()
        self._locks = Locks(connect_unpooled(database_url), self._locks_lost)
        looking, writing = connect_for_looking(database_url), connect(database_url, connections=1)
        self._monitor = start_monitor(settings, looking, writing, self._locks, self._scheduler, gives_way=True)

    def start(self) -> None:
        self._scheduler.after(STANDBY_SECONDS, self._monitor, Tick())  # a worker's Monitor comes first

    def stop(self) -> None:
        """Free the lock without waiting for anybody."""
        self._monitor.stop(block=False)
        self._locks.close()

    def _locks_lost(self, connection_id: int, reason: str) -> None:
        Link(self._monitor).tell(LeaseGone(reason, connection_id))
