"""What an alert says: which site, what is wrong and since when, and what to do about it."""

import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from alerts.incidents import News, kind_of, level_of
from database.incidents import Incident
from operations.durations import in_words
from operations.health import Kind, Level

LONGEST_TITLE = 120

_TO_DO: Mapping[Kind, str] = {
    Kind.UNREACHABLE: "start the database, or mend the way to it; rows wait meanwhile, and none is lost",
    Kind.UNPREPARED: "`bq-sync check` says what is missing; `bq-sync migrate` adds it",
    Kind.UNCOUNTABLE: "see who locks the table or took the right on it; its rows wait",
    Kind.NO_WORKER: "start it, and read the end of its log; rows wait meanwhile, and none is lost",
    Kind.BLOCKED: "mend what it names; the worker tries again every 5 minutes by itself",
    Kind.FAILED: "`bq-sync failed` lists them with their errors; then `bq-sync retry` or `bq-sync clear-failed`",
    Kind.PENDING: "it catches up by itself once nothing hinders it: `bq-sync status` says whether something does",
    Kind.OLD: "it catches up by itself once nothing hinders it: `bq-sync status` says whether something does",
    Kind.FUTURE: "compare `timedatectl`, the camera server's clock and database_timezone",
    Kind.UNCONFIRMED: "`bq-sync retention --dry-run` names more; docs/troubleshooting.md says how to send them again",
    Kind.RETENTION: "`bq-sync check` says more; rows are carried meanwhile, and the database grows",
    Kind.DIFFERENT: "`bq-sync verify` names the rows; with `--repair` it has those sent again that are missing",
    Kind.UNCHECKED: "`bq-sync verify` says more; rows are carried meanwhile",
    Kind.UNCONFIGURED: "nobody sends them until then; no other row waits for them",
    Kind.CLOCKS: "set it, and have it kept right: `timedatectl set-ntp true`",
}


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    body: str
    level: Level  # HEALTHY: something is over


@dataclass(frozen=True, slots=True)
class Site:
    """Who speaks: the site's id, None while the database hasn't told it, and the machine's name."""

    id: str | None
    host: str = field(default_factory=socket.gethostname)

    @property
    def name(self) -> str:
        return self.id or self.host


def compose(site: Site, news: Collection[News], still_open: Sequence[Incident], now: datetime) -> Message:
    """One message for all the news of a channel."""
    over = [each.incident for each in news if each.is_over]
    begun = [each.incident for each in news if not each.is_over and each.incident.name not in {e.name for e in over}]
    told = {incident.name for incident in (*begun, *over)}
    others = [incident for incident in still_open if incident.name not in told]
    if begun:
        level = Level.UNHEALTHY if Level.UNHEALTHY in map(level_of, begun) else Level.DEGRADED
        headline = f"{level}: {_first(begun)}"
    else:
        level = Level.HEALTHY
        headline = f"{'over' if others else 'healthy again, it was'}: {_first(over)}"
    body = "\n".join(_lines(site, begun, over, others, now))
    return Message(_shortened(f"bq-sync {site.name}: {headline}"), body, level)


def trial(site: Site, now: datetime) -> Message:
    """What an operator has sent to see whether it arrives."""
    text = f"Somebody wanted to see whether alerts of bq-sync arrive here. They do.\n\n{_sender(site, now)}"
    return Message(_shortened(f"bq-sync {site.name}: a test"), text, Level.HEALTHY)


def _lines(
    site: Site, begun: Sequence[Incident], over: Sequence[Incident], others: Sequence[Incident], now: datetime
) -> Iterator[str]:
    for text, incidents in _by_text(begun).items():
        yield f"{text}\n  since {_time(incidents[0].opened_at)}{_to_do(incidents[0])}"
    for text, incidents in _by_text(over).items():
        began, ended = incidents[0].opened_at, incidents[0].cleared_at or now
        lasted = in_words(max(0.0, (ended - began).total_seconds()))
        yield f"Over: {text}\n  it lasted {lasted}, from {_time(began)} to {_time(ended)}"
    if others:
        yield "\nStill:"
        yield from (f"- {text}" for text in _by_text(others))
    yield f"\n{_sender(site, now)}"


def _by_text(incidents: Sequence[Incident]) -> Mapping[str, list[Incident]]:
    """One for each table have the same text: it is said once."""
    texts: dict[str, list[Incident]] = {}
    for incident in incidents:
        texts.setdefault(incident.description, []).append(incident)
    return texts


def _first(incidents: Sequence[Incident]) -> str:
    texts = list(_by_text(sorted(incidents, key=lambda each: level_of(each) is not Level.UNHEALTHY)))
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{texts[0]}{more}"


def _to_do(incident: Incident) -> str:
    kind = kind_of(incident)
    text = None if kind is None else _TO_DO.get(kind)
    return f"\n  {text}" if text else ""


def _sender(site: Site, now: datetime) -> str:
    where = site.host if site.id is None else f"site {site.id} on {site.host}"
    return f"bq-sync, {where}, {_time(now)}"


def _time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _shortened(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 3]}..."
