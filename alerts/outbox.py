"""What has to be told to whom still: each channel gets all news once, in order, however long it is down."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from alerts.incidents import News
from delivery.backoff import Backoff

MOST_NEWS = 200  # that wait for one channel: the oldest are given up


@dataclass(slots=True)
class _Channel:
    backoff: Backoff
    waiting: list[News] = field(default_factory=list)
    not_before: float = 0.0


class Outbox:
    """Of so many channels; kept in memory, filled again from the database after a restart."""

    def __init__(self, backoffs: Iterable[Backoff]) -> None:
        self._channels = [_Channel(backoff) for backoff in backoffs]

    def add(self, news: Iterable[News]) -> None:
        for each in news:
            for channel in self._channels:
                if all(_key(each) != _key(other) for other in channel.waiting):
                    channel.waiting = [*channel.waiting, each][-MOST_NEWS:]

    def due(self, now: float) -> dict[int, tuple[News, ...]]:
        """What to tell now, by the channel's place."""
        return {
            place: tuple(channel.waiting)
            for place, channel in enumerate(self._channels)
            if channel.waiting and channel.not_before <= now
        }

    def delivered(self, place: int, news: Collection[News]) -> None:
        channel = self._channels[place]
        channel.waiting = [each for each in channel.waiting if each not in news]
        channel.backoff.reset()

    def refused(self, place: int, now: float) -> float:
        """It is told again later; returns in how many seconds."""
        channel = self._channels[place]
        delay = channel.backoff.next()
        channel.not_before = now + delay
        return delay

    def keep(self, names: Collection[str]) -> None:
        """Forget the news of all other incidents: another process tells them."""
        for channel in self._channels:
            channel.waiting = [each for each in channel.waiting if each.incident.name in names]


def _key(news: News) -> tuple[object, ...]:
    return news.incident.name, news.incident.opened_at, news.is_over
