"""OtherWork: whether anybody but ourselves works on a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, column, insert, table, text

from database.engine import connect, connect_for_reading
from database.other_work import LOOK_SECONDS, OTHERS_PER_SECOND, STAY_SECONDS, WINDOW_SECONDS, OtherWork
from tests.fakes.clock import FakeClock

MANY = int(OTHERS_PER_SECOND * WINDOW_SECONDS)
ROWS = table("rows_of_ours", column("id"), column("n"))


class World:
    """`others` is called with nothing but its own look between two calls, but for what a test does."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock()
        self.ours, self.theirs = connect(url), connect_for_reading(url, connections=1)
        self.others = OtherWork(self.ours, self.clock.monotonic)
        self.others.count(self.ours)
        with self.theirs.connect() as connection:
            connection.execute(text("CREATE TABLE rows_of_ours (id INT PRIMARY KEY, n INT)"))
        assert self.others()  # nothing is known yet
        self.pass_time(LOOK_SECONDS)
        assert not self.others()

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def run(self, engine: Engine, times: int, statement: str = "SELECT 1") -> None:
        with engine.begin() as connection:
            for _ in range(times):
                connection.execute(text(statement))


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    for engine in (world.ours, world.theirs):
        engine.dispose()


def test_others_that_begin_after_a_long_quiet_time_are_there_at_once(world: World) -> None:
    world.pass_time(3600)
    world.run(world.theirs, MANY)
    assert world.others()
    world.pass_time(LOOK_SECONDS)
    world.run(world.theirs, MANY)
    assert world.others()


def test_others_that_went_on_while_nobody_asked_are_there_at_once_and_stay(world: World) -> None:
    world.pass_time(10)
    world.run(world.theirs, int(10 * OTHERS_PER_SECOND))
    assert world.others()
    world.pass_time(STAY_SECONDS / 2)
    assert world.others()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT COUNT(*) FROM rows_of_ours",
        "INSERT IGNORE INTO rows_of_ours VALUES (1, 1)",
        "INSERT IGNORE INTO rows_of_ours SELECT 2, 2",
        "REPLACE INTO rows_of_ours VALUES (1, 1)",
        "UPDATE rows_of_ours SET n = 2",
        "UPDATE rows_of_ours a JOIN rows_of_ours b USING (id) SET a.n = 3",
        "DELETE FROM rows_of_ours",
    ],
)
def test_whatever_others_do_often_is_seen(world: World, statement: str) -> None:
    world.run(world.theirs, MANY, statement)
    world.pass_time(LOOK_SECONDS)
    assert world.others()


def test_what_we_do_ourselves_isnt(world: World) -> None:
    with world.ours.begin() as connection:
        connection.execute(insert(ROWS), [{"id": number, "n": 0} for number in range(3 * MANY)])
        connection.execute(
            text("UPDATE rows_of_ours SET n = 1 WHERE id = :id"), [{"id": number} for number in range(3 * MANY)]
        )
    world.run(world.ours, 3 * MANY)
    world.run(world.ours, 3 * MANY, "\n DELETE FROM rows_of_ours")
    world.pass_time(LOOK_SECONDS)
    assert not world.others()


def test_what_others_do_seldom_isnt(world: World) -> None:
    for _ in range(10):
        world.run(world.theirs, MANY - 1)
        for _ in range(round(WINDOW_SECONDS / LOOK_SECONDS)):
            world.pass_time(LOOK_SECONDS)
            assert not world.others()


def test_they_are_taken_to_be_there_for_a_while_after(world: World) -> None:
    world.run(world.theirs, MANY)
    world.pass_time(LOOK_SECONDS)
    assert world.others()
    world.pass_time(STAY_SECONDS - LOOK_SECONDS)
    assert world.others()
    world.pass_time(LOOK_SECONDS)
    assert not world.others()


def test_the_server_is_asked_only_now_and_then(world: World) -> None:
    world.run(world.theirs, MANY)
    world.pass_time(LOOK_SECONDS / 2)
    assert not world.others()


def test_what_ours_and_theirs_do_at_once_is_told_apart(world: World) -> None:
    with ThreadPoolExecutor() as threads:
        ours = threads.submit(world.run, world.ours, 2000)
        while not ours.done():
            world.pass_time(LOOK_SECONDS)
            assert not world.others()
        ours.result()
    world.run(world.theirs, 2 * MANY)
    world.pass_time(LOOK_SECONDS)
    assert world.others()


def test_of_a_server_that_doesnt_answer_nothing_is_known() -> None:
    clock = FakeClock()
    nobody = connect("mysql+pymysql://nobody:wrong@127.0.0.1:1/is22")
    others = OtherWork(nobody, clock.monotonic)
    assert others()
    clock.now += 10 * LOOK_SECONDS
    assert others()
    nobody.dispose()
