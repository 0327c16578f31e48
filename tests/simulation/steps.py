"""Everything that may be decided in a history: 256 steps, so that a byte is one; the first do no harm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from delivery.errors import Failure
from tests.fakes.ledger import FailAt, FailCommit
from tests.fakes.ledger import Fault as TransactionFault
from tests.simulation.bigquery import (
    BLOCKED,
    BROKEN,
    QUOTA,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    UNHEARD_UNKNOWN,
    UNKNOWN,
    Fault,
)
from tests.simulation.threads import FOREVER
from tests.simulation.world import NAMES, World

OTHER = (1, 0)
PATIENCE = 15.0  # s: for which a worker is silent when another takes over


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: what happens, in words too."""

    words: str
    happen: Callable[[World], object]


def _workers() -> Iterator[Step]:
    for slot, name in enumerate(NAMES):
        for effects in (1, 2, 3, 4, 6, 9, 14, 20):
            yield Step(f"{name} has its next {effects} side effects", partial(_run, slot=slot, effects=effects))
        for first in ("calls", "marker", "poller"):
            for effects in (1, 2, 4):
                words = f"{name}'s {first} goes first: {effects} side effects"
                yield Step(words, partial(_run, slot=slot, effects=effects, first=first))
        for held in ("marker", "calls", "batcher", "writer", "poller", "owner"):
            yield Step(f"{name} goes on, but for its {held}", partial(_run, slot=slot, effects=FOREVER, held=held))
        for effects in (5, 9, 13, 18, 25, FOREVER):
            much = "goes on" if effects == FOREVER else f"has its next {effects} side effects"
            words = f"{name} takes over from {NAMES[OTHER[slot]]}, which is frozen; it {much}"
            yield Step(words, partial(_take_over, slot=slot, effects=effects))


def _time() -> Iterator[Step]:
    for seconds in (1.5, 6, 30, 90, 330):
        yield Step(f"{seconds} s pass", partial(World.advance, seconds=seconds, slots=(0, 1)))
        for slot, name in enumerate(NAMES):
            words = f"{seconds} s pass, and only {name} is awake"
            yield Step(words, partial(World.advance, seconds=seconds, slots=(slot,)))
            yield Step(words, partial(World.advance, seconds=seconds, slots=(slot,)))


def _ends() -> Iterator[Step]:
    for slot, name in enumerate(NAMES):
        for _ in range(3):
            yield Step(f"{name} is killed, and started anew", partial(World.kill, slot=slot))
        yield Step(f"the server ends {name}'s connections", partial(World.cut_off, slot=slot))
        yield Step(f"{name} is asked to stop", partial(World.stop, slot=slot))
    yield Step("the database restarts", World.restart_database)


def _producers() -> Iterator[Step]:
    for count in (1, 1, 1, 2, 2, 3, 5):
        yield Step(f"rows are added: {count}", partial(World.add_rows, count=count))
    yield Step("a row is added that can't be encoded", partial(World.add_rows, count=1, label=None))
    for _ in range(3):
        yield Step("a row is added that BigQuery can't take", partial(World.add_rows, count=1, label=REFUSED))
    yield Step("a row of before is there", partial(World.add_rows, count=1, history=True))
    yield Step("a transaction takes a key and stays open", lambda w: w.reserved.append(w.new_key()))
    yield Step("a transaction takes a key and stays open", lambda w: w.reserved.append(w.new_key()))
    yield Step("an open transaction with a row commits", World.commit_reserved)
    yield Step("an open transaction with an item commits", World.commit_reserved_item)
    for back in (0, 0, 1, 2):
        yield Step(f"an item of row -{back}", partial(_add_item, back=back))
        words = f"a transaction adds an item of row -{back} and stays open"
        yield Step(words, partial(_add_item, back=back, reserve=True))
    for back in (0, 1):
        yield Step(f"an item of row -{back}, spelled 00n", partial(_add_item, back=back, spelled="00{}"))
        yield Step(f"an item of row -{back} with a payload", partial(_add_item, back=back, payload="p"))
        yield Step(f"row -{back} is corrected", partial(_correct, back=back))
    yield Step("an item of a row that comes later", partial(_add_item, back=-1))
    yield Step("an item with a payload of a row that comes later", partial(_add_item, back=-1, payload="p"))
    yield Step("an item whose payload BigQuery can't take", partial(_add_item, payload=REFUSED))
    yield Step("an item of no row's key", lambda w: w.add_item("x"))
    yield Step("an item asks to send a row anew", partial(_add_item, resend=True))
    yield Step("an item of an update", partial(_add_item, operation="UPDATE"))


def _faults() -> Iterator[Step]:
    appends: list[tuple[str, Failure, bool | None]] = [
        ("is refused: nobody is there", UNAVAILABLE, False),
        ("is refused: too much", QUOTA, False),
        ("is refused: the stream is broken", BROKEN, False),
        ("is refused: forbidden", BLOCKED, False),
        ("is answered with an unknown error that says for sure that nothing was written", UNKNOWN, False),
        ("arrives, and its answer is lost", TIMEOUT, True),
        ("never arrives", TIMEOUT, False),
        ("isn't answered and stays under way", TIMEOUT, None),
        ("isn't answered and stays under way", TIMEOUT, None),
        ("isn't answered and stays under way", TIMEOUT, None),
        ("arrives, and is answered with an unknown error", UNHEARD_UNKNOWN, True),
        ("is answered with an unknown error and stays under way", UNHEARD_UNKNOWN, None),
    ]
    for words, failure, written in appends:
        yield Step(f"the next append {words}", partial(_fault_append, fault=Fault(failure, written)))
    for words, failure in (("nothing", UNAVAILABLE), ("an unknown error", UNKNOWN), ("a refusal", BLOCKED)):
        yield Step(f"BigQuery answers everything with {words}", partial(_outage, failure=failure))
    for _ in range(3):
        yield Step("BigQuery is well again", partial(_outage, failure=None))
    yield Step("requests that are under way arrive", lambda w: w.bigquery.arrive())
    yield Step("requests that are under way arrive", lambda w: w.bigquery.arrive())
    yield Step("requests that are under way arrive", lambda w: w.bigquery.arrive())
    yield Step("requests that are under way are lost", lambda w: w.bigquery.under_way.clear())
    for verb in ("open", "finalize", "look_up"):
        yield Step(f"the next {verb} fails", partial(_fault_call, verb=verb, failure=UNAVAILABLE))
        yield Step(f"the next {verb} isn't answered", partial(_fault_call, verb=verb, failure=TIMEOUT))
    yield Step("silent streams are collected", lambda w: w.bigquery.vanish(older_than=60.0))
    for fault in (FailAt(0), FailAt(1), FailAt(3), FailAt(5)):
        words = f"the next transaction fails at its operation {fault.operation}"
        yield Step(words, partial(_fault_transaction, fault=fault))
    for commit in (FailCommit(happened=False), FailCommit(happened=True)):
        words = f"the next COMMIT is answered with an error, and {'happened' if commit.happened else 'did not happen'}"
        for _ in range(3):
            yield Step(words, partial(_fault_transaction, fault=commit))
    yield Step("the next read fails", lambda w: w.sites[0].source_faults.append(True))


def _operators() -> Iterator[Step]:
    yield Step("a flush is asked for", World.flush)
    yield Step("the table is paused", partial(World.pause, paused=True))
    yield Step("the table is resumed", partial(World.pause, paused=False))
    yield Step("the last failed item is retried", partial(World.retry_failed, mended=False))
    yield Step("the last failed item is mended and retried", partial(World.retry_failed, mended=True))
    yield Step("the last failed item is given up", World.give_up_failed)


def _past() -> Iterator[Step]:
    for commits in (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 30, 50):
        yield Step(
            f"the database loses its last {commits} commits", partial(_go_back, commits=commits, worker_too=True)
        )
        words = f"the database loses its last {commits} commits, and the workers go on"
        yield Step(words, partial(_go_back, commits=commits, worker_too=False))


def _run(world: World, slot: int, effects: int, first: str | None = None, held: str | None = None) -> None:
    world.run(slot, effects, first, held)


def _take_over(world: World, slot: int, effects: int) -> None:
    world.cut_off(OTHER[slot])
    world.clock.now += PATIENCE
    world.run(slot, effects)


def _add_item(world: World, back: int = 0, spelled: str = "{}", **how: Any) -> None:
    key = world.last_key(back) if back >= 0 else world.last_key() - back
    world.add_item(spelled.format(key), **how)


def _correct(world: World, back: int) -> None:
    world.correct(world.last_key(back))


def _fault_append(world: World, fault: Fault) -> None:
    world.bigquery.append_faults.append(fault)


def _fault_call(world: World, verb: str, failure: Failure) -> None:
    world.bigquery.other_faults[verb].append(failure)


def _outage(world: World, failure: Failure | None) -> None:
    world.bigquery.outage = failure


def _fault_transaction(world: World, fault: TransactionFault) -> None:
    world.sites[0].ledger_faults.append(fault)


def _go_back(world: World, commits: int, *, worker_too: bool) -> None:
    match world.setting.past.name:
        case "POWER_CUT":
            world.cut_power(commits, worker_too=worker_too)
        case "RESTORED":
            world.restore(2 * commits)


STEPS = [Step("nothing happens", lambda _: None)]
for some in (_time(), _producers(), _workers(), _ends(), _faults(), _operators(), _past()):
    STEPS.extend(some)
