"""CommandReader: commands reach the owner of their table until it has taken them."""

from collections.abc import Sequence
from dataclasses import dataclass

from actors.command_reader import EVERY_SECONDS, CommandReader
from actors.messages import Flush, Tick
from delivery.source import SourceError
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.inbox import Inbox, pump


@dataclass(frozen=True)
class Command:
    id: int
    table: str
    kind: str = "flush"


class World:
    """A CommandReader for two tables, and the commands that nobody has taken."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.fails = False
        self.scheduler = FakeScheduler(FakeClock())
        self.owners = {"logs": Inbox(), "summaries": Inbox()}
        self.failed: list[str] = []
        self.reader = CommandReader(self.owners, self.waiting, self.scheduler, lambda name, _: self.failed.append(name))

    def waiting(self, tables: Sequence[str]) -> Sequence[Command]:
        if self.fails:
            raise SourceError("the database can't be reached")
        return [command for command in self.commands if command.table in tables]

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.reader))

    def start(self) -> None:
        self.reader.on_receive(Tick())


def test_a_flush_goes_to_the_owner_of_its_table() -> None:
    world = World()
    world.commands = [Command(1, "logs"), Command(2, "summaries"), Command(3, "another worker's")]
    world.start()
    assert world.owners["logs"].messages == [Flush(1)]
    assert world.owners["summaries"].messages == [Flush(2)]


def test_it_is_told_again_until_it_is_taken() -> None:
    world = World()
    world.commands = [Command(1, "logs")]
    world.start()
    world.advance(EVERY_SECONDS)
    world.commands.clear()
    world.advance(10 * EVERY_SECONDS)
    assert world.owners["logs"].messages == [Flush(1), Flush(1)]


def test_a_database_that_doesnt_answer_is_asked_again() -> None:
    world = World()
    world.commands = [Command(1, "logs")]
    world.fails = True
    world.start()
    world.fails = False
    world.advance(EVERY_SECONDS)
    assert world.owners["logs"].messages == [Flush(1)]


def test_an_error_that_nobody_foresaw_is_told() -> None:
    world = World()
    world.reader.on_failure(KeyError, KeyError("logs"), None)
    assert world.failed == ["CommandReader"]
