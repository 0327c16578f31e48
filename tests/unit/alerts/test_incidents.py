"""When something wrong becomes an incident, when that is over, and what survives a process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerts.incidents import CLEAR_SECONDS, OPEN_SECONDS, Incidents, Moment, News
from database.incidents import Incident
from operations.health import Health, Kind, Reason, unreachable

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = Health()
FAILED = Health((Reason(Kind.FAILED, "11 rows failed"),))
LOOK = 30.0


def after(seconds: float) -> Moment:
    return Moment(1000.0 + seconds, START + timedelta(seconds=seconds))


class Watched:
    """Looks every 30 s."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.seconds = 0.0

    def see(self, health: Health, seconds: float) -> list[News]:
        """What has become news while it is so for that long."""
        news = []
        end = self.seconds + seconds
        while self.seconds < end:
            news += self.incidents.look(health, after(self.seconds))
            self.seconds += LOOK
        return news


def names(news: list[News]) -> list[tuple[str, bool]]:
    return [(each.incident.name, each.is_over) for each in news]


def test_what_lasts_is_told_once_and_once_when_it_is_over() -> None:
    watched = Watched()
    news = watched.see(FAILED, 3600)
    assert [(each.incident, each.is_over) for each in news] == [(Incident("failed", "11 rows failed", START), False)]
    (over,) = watched.see(WELL, 3600)
    assert over.is_over
    assert over.incident.cleared_at == START + timedelta(hours=1)


def test_what_a_restart_takes_is_no_incident() -> None:
    watched = Watched()
    assert watched.see(FAILED, OPEN_SECONDS) == []
    assert watched.see(WELL, 3600) == []


def test_what_comes_and_goes_is_one_incident() -> None:
    watched = Watched()
    assert len(watched.see(FAILED, 120)) == 1
    for _ in range(10):
        assert watched.see(WELL, CLEAR_SECONDS - LOOK) == []
        assert watched.see(FAILED, 120) == []
    assert len(watched.see(WELL, CLEAR_SECONDS + LOOK)) == 1
    assert len(watched.see(FAILED, 120)) == 1


def test_each_table_has_an_incident_of_its_own() -> None:
    watched = Watched()
    one = Health((Reason(Kind.NO_WORKER, "no worker for a", ("a",)),))
    both = Health((Reason(Kind.NO_WORKER, "no worker for a, b", ("a", "b")),))
    assert names(watched.see(one, 120)) == [("no_worker:a", False)]
    assert names(watched.see(both, 120)) == [("no_worker:b", False)]
    assert names(watched.see(one, 600)) == [("no_worker:b", True)]


def test_while_the_database_doesnt_answer_nothing_is_known_of_all_else() -> None:
    watched = Watched()
    watched.see(FAILED, 120)
    assert names(watched.see(unreachable("it is gone"), 3600)) == [("database_unreachable", False)]
    assert names(watched.see(FAILED, 3600)) == [("database_unreachable", True)]
    assert names(watched.see(WELL, 3600)) == [("failed", True)]


def test_another_process_goes_on_where_this_one_ended() -> None:
    watched = Watched()
    news = watched.see(FAILED, 120)
    watched.incidents.told(news, START)
    kept, gone = watched.incidents.unkept
    assert gone == []

    successor = Watched()
    assert successor.incidents.take_over(kept) == []
    assert successor.see(FAILED, 3600) == []
    (over,) = successor.see(WELL, 3600)
    successor.incidents.told([over], START)
    assert successor.incidents.unkept == ([], ["failed"])


def test_what_was_not_told_yet_is_told_by_the_next_process() -> None:
    incident = Incident("failed", "11 rows failed", START, cleared_at=START + timedelta(hours=1))
    assert Incidents().take_over([incident]) == [News(incident), News(incident, is_over=True)]
    told = replace(incident, told_at=START)
    assert Incidents().take_over([told]) == [News(told, is_over=True)]


def test_what_happened_while_the_database_was_gone_is_kept_once_it_is_back() -> None:
    watched = Watched()
    news = watched.see(unreachable("it is gone"), 120)
    assert watched.incidents.take_over([]) == news
    assert [each.name for each in watched.incidents.unkept[0]] == ["database_unreachable"]


def test_what_another_process_has_ended_meanwhile_is_not_kept_again() -> None:
    watched = Watched()
    watched.see(FAILED, 120)
    watched.incidents.kept()
    assert watched.incidents.take_over([]) == []
    assert watched.incidents.unkept == ([], [])


def test_who_stands_by_goes_on_with_what_the_database_doesnt_know_alone() -> None:
    watched = Watched()
    watched.see(FAILED, 120)
    watched.incidents.kept()
    watched.see(unreachable("it is gone"), 120)
    assert set(watched.incidents.hand_over()) == {"database_unreachable"}
    assert names(watched.see(WELL, 3600)) == [("database_unreachable", True)]


def test_news_of_an_incident_that_has_come_back_since_changes_nothing() -> None:
    watched = Watched()
    watched.see(FAILED, 120)
    over = watched.see(WELL, 600)
    (again,) = watched.see(FAILED, 120)
    watched.incidents.told(over, START)
    assert watched.incidents.open == (again.incident,)
