"""What is told of processes, of small ones that we start."""

import os
import sys
from pathlib import Path

import pytest

from bench.processes import CommandFailed, cpu_seconds, peak_mb, rss_mb, run, run_well, tree, tree_cpu_seconds


def test_we_are_in_our_own_tree_and_take_something() -> None:
    assert tree(os.getpid())[0] == os.getpid()
    assert 0 < rss_mb(os.getpid()) <= peak_mb(os.getpid())
    assert 0 < cpu_seconds(os.getpid()) <= tree_cpu_seconds(os.getpid())


def test_a_command_is_measured_with_all_that_it_starts(tmp_path: Path) -> None:
    hungry = "import time; x = b'x' * 60_000_000; print('done'); time.sleep(0.5)"  # it is looked at every 20 ms
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}], check=True)"
    ran = run([sys.executable, "-c", parent], tmp_path / "log")
    assert (ran.code, ran.printed) == (0, "done\n")
    assert ran.cpu_seconds > 0
    assert 60 < ran.peak_mb < 150


def test_a_command_that_fails_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"ended with 3:\nsorry"):
        run_well([sys.executable, "-c", "print('sorry'); exit(3)"], tmp_path / "log")


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="was ended after 0 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log", longest=0.1)
