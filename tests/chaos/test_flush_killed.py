"""A worker is killed while somebody waits for a flush: the answer is honest, and so is what its link tells later."""

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette

from api.app import create_app
from database.engine import connect
from operations.control import Patience
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import WATCHED, Fate, Point
from tests.chaos.one_site import START_SECONDS, Site, died_at, until
from tests.unit.api.client import assert_problem, call_path

pytestmark = pytest.mark.chaos

ROWS = 5
FLUSH = "/api/bq-sync/flush"


@pytest.fixture
def site(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> Site:
    """One where rows that come later than the first wait until somebody flushes them."""
    site = make_site(mariadb, emulator, batch_size=1_000, interval_seconds=3_600)
    site.add_a_row()
    return site


@pytest.fixture
def api(site: Site) -> Iterator[Callable[[Patience], Starlette]]:
    """Makes APIs of the site that are more or less patient."""
    engine = connect(site.settings.require_database_url())
    yield lambda patience: create_app(site.settings, engine, patience=patience)
    engine.dispose()


@pytest.mark.parametrize("point", [Point.BEGUN, Point.SENT])  # BigQuery doesn't have the rows; it has them
def test_killed_in_a_flush(site: Site, api: Callable[[Patience], Starlette], point: Point) -> None:
    app = api(Patience(taken=20, done=5, look=0.05))
    worker = site.doomed(point, Fate.KILL, nth=2)
    add_rows(site)
    answer = call_path(app, "POST", FLUSH, json={"tables": [WATCHED]})
    died_at(worker, point)
    assert answer.status_code == 202, answer.text
    assert answer.json()["tables"] in ({WATCHED: "running"}, {WATCHED: "waiting"})  # waiting: on a slow machine
    link = answer.headers["location"]
    assert told(app, link) == {"state": "running", "result": None}

    owners = site.tokens()
    site.worker()
    site.taken_over(owners)
    until(lambda: told(app, link)["state"] == "done", START_SECONDS, "the flush is done", site.logs)
    assert told(app, link)["result"] == {"flushedCount": ROWS}
    assert call_path(app, "POST", FLUSH).status_code == 200
    site.finish()


def test_killed_before_it_was_taken(site: Site, api: Callable[[Patience], Starlette]) -> None:
    app = api(Patience(taken=0.5, look=0.05))
    worker = site.worker()
    add_rows(site)
    worker.freeze()  # alive for the database, and deaf
    problem = assert_problem(call_path(app, "POST", FLUSH, json={"tables": [WATCHED]}), 503)
    worker.kill()
    assert problem["tables"] == {WATCHED: "no worker"}

    owners = site.tokens()
    site.worker()
    site.taken_over(owners)
    assert told(app, problem["command"]) == {"state": "withdrawn", "result": None}
    site.finish()


def add_rows(site: Site) -> None:
    """Rows that wait, behind one that the worker has sent."""
    site.drain()
    for _ in range(ROWS):
        site.add_a_row()


def told(app: Starlette, link: str) -> dict[str, object]:
    """What a command's link says of the watched table."""
    tables: dict[str, dict[str, object]] = call_path(app, "GET", link).json()["tables"]
    return tables[WATCHED]
