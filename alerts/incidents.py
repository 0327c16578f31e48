"""When something that is wrong becomes an incident, and when that is over: pure, and the same for all that can be."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from database.incidents import Incident
from operations.health import Health, Kind, Level

OPEN_SECONDS = 60.0  # so long something has been wrong: a restart is over by then
CLEAR_SECONDS = 300.0  # so long all has been well: what comes and goes is one incident


@dataclass(frozen=True, slots=True)
class News:
    """An incident as it begins, or (`is_over`) ends."""

    incident: Incident
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """The same moment by the clock that only goes forward, and by the one on the wall."""

    monotonic: float
    wall: datetime


def wrong_by_name(health: Health) -> dict[str, str]:
    """What is wrong, in words, by the incident's name: one for each table that a reason is about."""
    wrong: dict[str, str] = {}
    for reason in health.reasons:
        names = [f"{reason.kind}:{table}" for table in reason.tables] or [str(reason.kind)]
        for name in names:
            wrong.setdefault(name, reason.text)
    return wrong


def kind_of(incident: Incident) -> Kind | None:
    """None: another version's, which this one doesn't know."""
    kind = incident.name.partition(":")[0]
    return Kind(kind) if kind in set(Kind) else None


def level_of(incident: Incident) -> Level:
    kind = kind_of(incident)
    return Level.UNHEALTHY if kind is None else kind.level


class Incidents:
    """All that are open, or over and not told yet; and which of them the database doesn't know as they are."""

    def __init__(self) -> None:
        self._all: dict[str, Incident] = {}
        self._kept: dict[str, Incident] = {}  # as the database has them
        self._wrong_since: dict[str, Moment] = {}  # what isn't an incident yet
        self._well_since: dict[str, Moment] = {}  # incidents that may be over

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(incident for incident in self._all.values() if incident.cleared_at is None)

    @property
    def unkept(self) -> tuple[list[Incident], list[str]]:
        """What the database has to be told: those that changed, and the names of those that are gone."""
        changed = [incident for name, incident in self._all.items() if self._kept.get(name) != incident]
        return changed, [name for name in self._kept if name not in self._all]

    def look(self, health: Health, now: Moment) -> list[News]:
        """Judge what is wrong now; returns what has become an incident, and which are over.

        Where the database doesn't answer, nothing is known of all else: that stays as it is.
        """
        wrong = wrong_by_name(health)
        blind = Kind.UNREACHABLE in wrong
        return [*self._open(wrong, now), *self._clear(wrong, now, only=(Kind.UNREACHABLE,) if blind else None)]

    def _open(self, wrong: Mapping[str, str], now: Moment) -> Iterable[News]:
        self._wrong_since = {name: self._wrong_since.get(name, now) for name in wrong}
        for name, since in self._wrong_since.items():
            known = self._all.get(name)
            is_open = known is not None and known.cleared_at is None
            if not is_open and now.monotonic - since.monotonic >= OPEN_SECONDS:
                self._all[name] = Incident(name, wrong[name], since.wall)
                yield News(self._all[name])

    def _clear(self, wrong: Mapping[str, str], now: Moment, only: Collection[str] | None) -> Iterable[News]:
        well = [each.name for each in self.open if each.name not in wrong and (only is None or each.name in only)]
        self._well_since = {name: self._well_since.get(name, now) for name in well}
        for name, since in self._well_since.items():
            if now.monotonic - since.monotonic >= CLEAR_SECONDS:
                self._all[name] = replace(self._all[name], cleared_at=since.wall)
                yield News(self._all[name], is_over=True)

    def told(self, news: Iterable[News], at: datetime) -> None:
        """Some channel took these; one that is over is forgotten then."""
        for each in news:
            known = self._all.get(each.incident.name)
            if known is None or known.opened_at != each.incident.opened_at:
                continue  # it is another one by now
            if each.is_over:
                del self._all[known.name]
            elif known.told_at is None:
                self._all[known.name] = replace(known, told_at=at)

    def kept(self) -> None:
        """The database knows them as they are."""
        self._kept = dict(self._all)

    def take_over(self, kept: Iterable[Incident]) -> list[News]:
        """Go on with what the database has; returns what is still to be told of it.

        What this process noticed while the database couldn't be told stays, too.
        """
        mine, before = self._all, self._kept
        self._kept = {each.name: each for each in kept}
        self._all = {name: _merged(each, mine.get(name)) for name, each in self._kept.items()}
        self._all |= {name: each for name, each in mine.items() if name not in self._kept and name not in before}
        begun = [News(each) for each in self._all.values() if each.told_at is None]
        return begun + [News(each, is_over=True) for each in self._all.values() if each.cleared_at is not None]

    def hand_over(self) -> Collection[str]:
        """Another process goes on with what the database has: only what it doesn't know stays; returns these names."""
        self._all = {name: each for name, each in self._all.items() if name not in self._kept}
        self._kept = {}
        return self._all.keys()


def _merged(kept: Incident, mine: Incident | None) -> Incident:
    if mine is None or mine.opened_at != kept.opened_at:
        return kept
    return replace(kept, told_at=kept.told_at or mine.told_at, cleared_at=kept.cleared_at or mine.cleared_at)
