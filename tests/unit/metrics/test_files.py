"""Files have all the room they will need, so that a full disk can't end the process that writes to them."""

import subprocess
import sys
from pathlib import Path

import pytest

from metrics.instruments import DEFINITIONS, sizes

CHECKOUT = Path(__file__).parents[3]

# Everything that worker and API can ever measure, in one process; prints how large the files were, and are.
ALL = """
import sys
from pathlib import Path
from delivery.errors import ErrorClass
from metrics.instruments import SIGNATURE, Instruments, sizes
from metrics.shared import Shared

directory, tables, routes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
Shared(directory, "run", sizes(tables, routes), SIGNATURE)
def disk(): return {path.name: (path.stat().st_size, path.stat().st_blocks) for path in directory.glob("*.db")}
before = disk()
of = Instruments()
of.starts.labels("run")
for n in range(tables):
    of.table(f"{n:064}")
for n in range(routes):
    for method in ("GET", "POST"):
        for status in ("2xx", "4xx", "5xx"):
            of.requests.labels(method, f"/api/bq-sync/{n:030}", status)
    of.request_seconds.labels(f"/api/bq-sync/{n:030}")
for role in ("write", "read", "locks", "api"):
    of.statement_seconds.labels(role), of.database_errors.labels(role)
print(before == disk(), len(before))
"""


@pytest.mark.parametrize(("tables", "routes"), [(1, 0), (3, 40), (40, 40)])
def test_no_file_grows_and_none_has_holes(tmp_path: Path, tables: int, routes: int) -> None:
    command = [sys.executable, "-c", ALL, str(tmp_path / "metrics"), str(tables), str(routes)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "True 3\n"


def test_a_usual_process_takes_little() -> None:
    assert sum(sizes(tables=3, routes=0).values()) < 100_000


def test_names_follow_prometheus() -> None:
    for definition in DEFINITIONS:
        assert definition.name.startswith("bq_sync_")
        assert definition.help.endswith(".")
