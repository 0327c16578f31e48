"""CommandReader: what operators want reaches the owner of each table, however often it has to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.command_reader import EVERY_SECONDS, CommandReader
from actors.messages import Flush, Pause, Resume, RunRetention, Tick
from delivery.source import SourceError
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.inbox import Inbox, pump


@dataclass(frozen=True)
class Command:
    id: int
    table: str
    kind: str = "flush"
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Orders:
    paused: frozenset[str]
    commands: Sequence[Command]


class World:
    """A CommandReader for two tables, and what is wanted of them."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.paused: set[str] = set()
        self.fails = False
        self.scheduler = FakeScheduler(FakeClock())
        self.owners = {"logs": Inbox(), "summaries": Inbox()}
        self.failed: list[str] = []
        self.reader = CommandReader(self.owners, self.orders, self.scheduler, lambda name, _: self.failed.append(name))

    def orders(self, tables: Sequence[str]) -> Orders:
        if self.fails:
            raise SourceError("the database can't be reached")
        return Orders(frozenset(self.paused), [command for command in self.commands if command.table in tables])

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.reader))

    def start(self) -> None:
        self.reader.on_receive(Tick())


def test_a_command_goes_to_the_owner_of_its_table() -> None:
    world = World()
    world.commands = [
        Command(1, "logs"),
        Command(2, "summaries", "retention", {"dryRun": True}),
        Command(3, "another worker's"),
        Command(4, "summaries", "retention"),
    ]
    world.start()
    assert world.owners["logs"].messages == [Resume(), Flush(1)]
    assert world.owners["summaries"].messages == [
        Resume(),
        RunRetention(2, dry_run=True),
        RunRetention(4, dry_run=False),
    ]


def test_it_is_told_again_until_it_is_taken() -> None:
    world = World()
    world.commands = [Command(1, "logs")]
    world.start()
    world.advance(EVERY_SECONDS)
    world.commands.clear()
    world.advance(10 * EVERY_SECONDS)
    assert world.owners["logs"].take(Flush) == [Flush(1), Flush(1)]


def test_pauses_are_told_each_time_since_a_table_may_have_a_new_owner() -> None:
    world = World()
    world.paused = {"logs"}
    world.start()
    world.advance(EVERY_SECONDS)
    world.paused = {"summaries"}
    world.advance(EVERY_SECONDS)
    assert world.owners["logs"].messages == [Pause(), Pause(), Resume()]
    assert world.owners["summaries"].messages == [Resume(), Resume(), Pause()]


def test_a_database_that_doesnt_answer_is_asked_again_and_changes_nothing() -> None:
    world = World()
    world.commands = [Command(1, "logs")]
    world.paused = {"summaries"}
    world.fails = True
    world.start()
    assert world.owners["summaries"].messages == []
    world.fails = False
    world.advance(EVERY_SECONDS)
    assert world.owners["logs"].messages == [Resume(), Flush(1)]
    assert world.owners["summaries"].messages == [Pause()]


def test_an_error_that_nobody_foresaw_is_told() -> None:
    world = World()
    world.reader.on_failure(KeyError, KeyError("logs"), None)
    assert world.failed == ["CommandReader"]
