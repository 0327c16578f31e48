"""Two runs of `make bench OUT=...` beside each other: `python -m bench.compare_runs BEFORE.json AFTER.json`."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import aligned


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    print(compared(*(json.loads(file.read_text()) for file in (arguments.before, arguments.after))))


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The figures that both have, with the second to the first; first of all what else is different."""
    machines = [
        f"{name}: {before['machine'].get(name)}, then {value}"
        for name, value in after["machine"].items()
        if before["machine"].get(name) != value
    ]
    then, now = _values(before), _values(after)
    lines = [
        (f"{bench}: {name}", f"{then[bench, name]:.4g}", f"{value:.4g}", _ratio(then[bench, name], value))
        for (bench, name), value in now.items()
        if (bench, name) in then
    ]
    return "\n".join([*machines, aligned([("figure", "before", "after", "ratio"), *lines])])


def _values(run: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (report["title"], figure["name"]): figure["value"] for report in run["reports"] for figure in report["figures"]
    }


def _ratio(before: float, after: float) -> str:
    return f"{after / before:.2f}" if before else ""


if __name__ == "__main__":
    main()
