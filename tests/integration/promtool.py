"""Prometheus's own checker of rules and metrics; `sandbox/install_promtool.sh` gets it."""

import shutil
import sys
from pathlib import Path

import pytest

_FOUND = shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))

needs_promtool = pytest.mark.skipif(_FOUND is None, reason="no promtool: sh sandbox/install_promtool.sh")


def promtool() -> str:
    assert _FOUND is not None
    return _FOUND
