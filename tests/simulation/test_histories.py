"""Every row arrives exactly once, whatever happens: histories that Hypothesis makes up, and shortens where one fails.

`make simulation HISTORIES=20000` runs more of them than `make test`.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.history import SETTINGS, decided, run, small_world
from tests.simulation.world import Past, Setting

HISTORIES = int(os.environ.get("SIMULATION_HISTORIES", "300"))  # of each kind


@settings(
    max_examples=HISTORIES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
@given(
    setting=st.sampled_from([s for s in SETTINGS if s.past is Past.NONE]), decisions=st.binary(min_size=30, max_size=80)
)
@pytest.mark.timeout(max(120, HISTORIES))
def test_no_table_is_starved_whatever_another_one_suffers(setting: Setting, decisions: bytes) -> None:
    with small_world():
        outcome = run(decisions, setting, tables=2)
        assert outcome.violation is None, "\n".join(decided(decisions, setting, tables=2))


@pytest.mark.timeout(max(120, HISTORIES))
@pytest.mark.parametrize("streams", [True, False], ids=["storage_write", "insert_all"])
@pytest.mark.parametrize("past", Past, ids=lambda past: past.name.lower())
def test_every_row_arrives_exactly_once(past: Past, streams: bool) -> None:
    counted = Counter[str]()

    @settings(
        max_examples=HISTORIES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    @given(
        setting=st.sampled_from([s for s in SETTINGS if s.past is past and s.streams is streams]),
        decisions=st.binary(min_size=30, max_size=80),
    )
    def every_history(setting: Setting, decisions: bytes) -> None:
        outcome = run(decisions, setting)
        counted.update(histories=1, steps=outcome.steps)
        assert outcome.violation is None, "\n".join(decided(decisions, setting))

    with small_world():
        every_history()
    method = "storage_write" if streams else "insert_all"
    print(f"{past.name}, {method}: {counted['histories']:,} histories, {counted['steps']:,} steps")
