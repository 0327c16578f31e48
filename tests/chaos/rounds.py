"""Chaos rounds: a random fault, or two at once, on a living site; then everything has to be in BigQuery, once.

`python -m tests.chaos.rounds --rounds 500` prints a line a round, and at the end a table of the kinds of faults.
`--seed N` plays the same rounds as the run that printed N: the same faults, sites and rows, but for what the
machine makes of their moments. The seed of a round is the run's plus the rounds before it, so that a run can
be played again from any site's first round on.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

from tests.chaos.arena import Arena, Variant
from tests.chaos.faults.kinds import Kind
from tests.chaos.faults.plan import ALL, draw, possible
from tests.chaos.verdict import WrongError

SITE_ROUNDS = 12  # then a new site is attacked: the comparison of all of its rows, after each round, stays cheap
DRAIN_SECONDS = 420.0  # a blocked table is tried again after 300
APART_SECONDS = 1.5  # between two faults of a round
FLUSHED = 0.5  # the share of rounds after which an operator is in a hurry


@dataclass(frozen=True)
class Played:
    """A round that ended well."""

    kinds: Sequence[str]
    rows: int
    seconds: float
    drain_seconds: float
    what: str


@dataclass
class Tally:
    """What was played of a kind of fault."""

    rounds: int = 0
    rows: int = 0
    longest_drain: float = 0.0


@dataclass
class Run:
    """Rounds one after another, until one fails; what they come to is printed as it happens.

    Attributes:
        directory: what is needed to understand a failure stays here; what isn't is removed.
        seconds: no round begins after so many.
        failed: whether a round did.
    """

    directory: Path
    seed: int
    rounds: int
    kinds: Sequence[Kind]
    seconds: float = float("inf")
    failed: bool = False
    played: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)

    def play(self) -> None:
        self._ends_at = time.monotonic() + self.seconds
        began = time.monotonic()
        while self._goes_on:
            self._play_site(self.seed + self.played)
        say(f"{self.played} rounds, seed {self.seed}, {time.monotonic() - began:.0f} s")

    @property
    def _goes_on(self) -> bool:
        return not self.failed and self.played < self.rounds and time.monotonic() < self._ends_at

    def _play_site(self, first: int) -> None:
        """Attack a site SITE_ROUNDS times, or as often as is left."""
        variant = Variant.draw(Random(f"{first}/site"))
        directory = self.directory / f"site-{first}"
        say(f"site {first}: {variant}")
        with Arena(directory, variant, first) as arena:
            kinds = possible(arena, self.kinds)
            for kind in self.kinds:
                if kind not in kinds:
                    say(f"left out: {kind.name}: {arena.lacks[str(kind.needs)]}")
            left = min(SITE_ROUNDS, self.rounds - self.played)
            try:
                while left and self._goes_on:
                    self._tally(play_round(arena, self.seed + self.played, kinds))
                    left -= 1
                arena.stop_workers()
                arena.judge()
            except Exception as error:  # noqa: BLE001 -- told with the seed, the logs and how to play it again
                self.failed = True
                self._explain(arena, directory, first, error)
        if not self.failed:
            shutil.rmtree(directory)

    def _tally(self, played: Played) -> None:
        seed = self.seed + self.played
        self.played += 1
        for kind in played.kinds:
            tally = self.tallies.setdefault(kind, Tally())
            tally.rounds += 1
            tally.rows += played.rows
            tally.longest_drain = max(tally.longest_drain, played.drain_seconds)
        figures = f"{played.rows:5} rows {played.seconds:6.1f} s, drained in {played.drain_seconds:5.1f} s"
        say(f"{self.played:4}  seed {seed}  {figures}  {' + '.join(played.kinds)}: {played.what}")

    def _explain(self, arena: Arena, directory: Path, first: int, error: Exception) -> None:
        seed = self.seed + self.played
        say(f"{self.played + 1:4}  seed {seed}  FAILED")
        say("".join(traceback.format_exception(error)))
        with suppress(Exception):  # whatever it is that fails, what is known is told
            arena.site.dump(directory / "failed.sql")
        say(f"logs, BigQuery's rows and a dump of the database: {directory}")
        chosen = "" if len(self.kinds) == len(ALL) else f" --kinds '{','.join(kind.name for kind in self.kinds)}'"
        command = "python -m tests.chaos.rounds"
        say(f"again from this site's first round: {command} --seed {first} --rounds {seed - first + 1}{chosen}")
        say(f"this round alone, on another site: {command} --seed {seed} --rounds 1{chosen}")

    def table(self) -> str:
        """The kinds of faults, and what was played of each."""
        lines = [f"{'kind of fault':34} {'rounds':>6} {'rows':>7} {'longest drain':>13}"]
        for kind in ALL:
            tally = self.tallies.get(kind, Tally())
            lines.append(f"{kind:34} {tally.rounds:6} {tally.rows:7} {tally.longest_drain:11.1f} s")
        return "\n".join(lines)


def play_round(arena: Arena, seed: int, kinds: Sequence[Kind]) -> Played:
    """Strike while producers produce, heal, wait until nothing is left to be done, and compare.

    Raises:
        WrongError: a row is lost, doubled, different or stuck.
    """
    random = Random(f"{seed}/round")
    drawn = draw(random, kinds)
    began = time.monotonic()
    names = [kind.name for kind in drawn]
    what = arena.notes
    what.clear()
    try:
        before = arena.rows()
        with arena.producing(seed):
            time.sleep(random.uniform(0, 0.5))
            _strike(arena, drawn, random)
            arena.heal()
        arena.take_back_promises()
        if random.random() < FLUSHED:
            arena.flush()
            what.append("flushed")
        drain_seconds = _drain(arena)
        rows = arena.judge()
    except Exception as error:
        error.add_note(f"{' + '.join(names)}: {'; '.join(what)}")
        raise
    return Played(names, rows - before, time.monotonic() - began, drain_seconds, "; ".join(what))


def _strike(arena: Arena, kinds: Sequence[Kind], random: Random) -> None:
    """All of them, each on a thread of its own; notes what they did."""
    failed: list[Exception] = []

    def strike(kind: Kind, seed: str, after: float) -> None:
        time.sleep(after)
        try:
            arena.notes.append(kind.strike(arena, Random(seed)))
        except Exception as error:  # noqa: BLE001 -- raised below, where it is heard
            failed.append(error)

    threads = []
    for place, kind in enumerate(kinds):
        after = random.uniform(0, APART_SECONDS) if place else 0.0
        threads.append(threading.Thread(target=strike, args=(kind, str(random.random()), after)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _drain(arena: Arena) -> float:
    began = time.monotonic()
    while not arena.is_drained():
        if time.monotonic() - began > DRAIN_SECONDS:
            raise WrongError(f"still something to be done after {DRAIN_SECONDS:.0f} s\n{arena.site.logs()}")
        time.sleep(0.1)
    return time.monotonic() - began


def say(line: str) -> None:
    print(line, flush=True)


def _chosen(names: str | None) -> list[Kind]:
    if names is None:
        return list(ALL.values())
    unknown = [name for name in names.split(",") if name not in ALL]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such kind: {', '.join(unknown)}; there are: {', '.join(ALL)}")
    return [ALL[name] for name in names.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.rounds", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="default: a random one")
    parser.add_argument("--kinds", type=_chosen, default=_chosen(None), help="of faults, by name, with commas")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no round begins after so many")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything it started ends with it
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    run = Run(directory, arguments.seed, arguments.rounds, arguments.kinds, arguments.seconds)
    run.play()
    say(run.table())
    if not run.failed:
        directory.rmdir()
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
