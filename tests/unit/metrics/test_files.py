"""Files have all the room they will need, so that a full disk can't end who writes to them; broken ones are known."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from metrics.files import readable, set_aside_if_broken
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


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file with two counters in it."""
    path = tmp_path / "counter_worker-0.db"
    counters = MmapedDict(path)  # type: ignore[no-untyped-call]  # untyped there
    for name in ("one_total", "two_total"):
        counters.write_value(mmap_key("some", name, ["table"], ["logs"], "Help."), 3.0, 0.0)  # type: ignore[no-untyped-call]
    counters.close()  # type: ignore[no-untyped-call]
    return path


def test_a_file_that_is_well_is_read(written: Path) -> None:
    assert not set_aside_if_broken(written)
    assert readable([written]) == [str(written)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: whole[:3],
        lambda whole: whole[:100],
        lambda whole: b"\xff\x00\x00\x90" + os.urandom(1000),  # a length below 0
        lambda whole: b"\xff\x00\x00\x10" + whole[4:],  # a length beyond the end
        lambda whole: whole[:8] + b"\xff" * 200 + whole[208:],
        lambda whole: whole.replace(b"one_total", b"one\xfftotal"),
        lambda whole: whole.replace(b'["some"', b'!"some"'),
        lambda whole: whole.replace(
            b"\x00\x00\x00\x00\x00\x00\x08@", b"\x00\x00\x00\x00\x00\x00\xf8\x7f"
        ),  # not a number
    ],
)
def test_a_broken_file_isnt_read_and_makes_room(written: Path, spoil: Callable[[bytes], bytes]) -> None:
    written.write_bytes(spoil(written.read_bytes()))
    assert readable([written]) == []
    assert set_aside_if_broken(written)
    assert not written.exists()
    assert written.with_suffix(".broken").exists()


def test_a_file_of_zeros_as_a_power_cut_leaves_it_is_empty(written: Path) -> None:
    written.write_bytes(bytes(65_536))
    assert not set_aside_if_broken(written)


def test_names_follow_prometheus() -> None:
    for definition in DEFINITIONS:
        assert definition.name.startswith("bq_sync_")
        assert definition.help.endswith(".")
