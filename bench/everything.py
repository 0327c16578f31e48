"""All that docs/performance.md tells of, in one run: `make bench [OUT=file.json] [SMALL=1]`.

Each bench runs as a process of its own, on a MariaDB and an emulator of its own, one after the other and bounded in
time. One that fails is named at the end, and stops no other. `bench.compare_runs` puts two of the files side by side.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.figures import Report, parser, table_of
from bench.processes import CommandFailed, run_well

# With the most seconds that each may take.
BENCHES: Mapping[str, float] = {
    "catch_up": 900,
    "gentleness": 1200,
    "freshness": 1800,
    "footprint": 600,
    "growth": 2400,
    "wire": 900,
}


@dataclass(frozen=True, slots=True)
class Failed:
    """A bench that found nothing, and why."""

    name: str
    problem: str


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="BENCH", help="these alone"
    )
    arguments = options.parse_args()
    facts = machine.facts()
    reports: list[Report] = []
    failed: list[Failed] = []
    # Servers of a bench that had to be ended may still be ending when this is removed.
    with tempfile.TemporaryDirectory(prefix="bq-sync-bench-", ignore_cleanup_errors=True) as directory:
        for found in each(Path(directory), arguments.only, small=arguments.small):
            match found:
                case Report(title):
                    reports.append(found)
                    print(f"{title}: done", flush=True)
                case Failed(name, problem):
                    failed.append(found)
                    print(f"{name} failed: {problem}", flush=True)
            if arguments.json is not None:  # each time: what follows may be interrupted
                arguments.json.write_text(json.dumps(as_json(facts, reports, failed), indent=2) + "\n")
    print(summary(facts, reports, failed))
    sys.exit(bool(failed))


def each(directory: Path, names: Sequence[str], *, small: bool) -> Iterator[Report | Failed]:
    """What the benches of these names find, one after the other."""
    for name in names:
        file = directory / f"{name}.json"
        command = [sys.executable, "-m", f"bench.{name}", "--json", str(file), *(["--small"] if small else [])]
        # What a bench leaves behind that had to be ended goes with our own directory.
        environment = {"TMPDIR": str(directory)}
        try:
            run_well(command, directory / f"{name}.log", environment, longest=BENCHES[name])
        except CommandFailed as error:
            yield Failed(name, str(error))
        else:
            yield Report.from_json(json.loads(file.read_text()))


def as_json(facts: Mapping[str, object], reports: Sequence[Report], failed: Sequence[Failed]) -> Mapping[str, object]:
    """The whole run, for a later one to be compared with."""
    return {
        "machine": facts,
        "reports": [report.as_json() for report in reports],
        "failed": {found.name: found.problem for found in failed},
    }


def summary(facts: Mapping[str, object], reports: Sequence[Report], failed: Sequence[Failed]) -> str:
    """One table of all and their notes; what it was taken on, and how many goals were reached."""
    goals = [figure.reached for report in reports for figure in report.figures if figure.goal is not None]
    lines = [
        ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None),
        table_of(reports),
        *(f"{report.title}: {note}" for report in reports for note in report.notes),
        f"{sum(map(bool, goals))} of {len(goals)} goals reached",
        *(f"{found.name} FAILED: {found.problem.strip().splitlines()[-1]}" for found in failed),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
