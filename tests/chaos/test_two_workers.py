"""Two workers want the same tables; the second takes over when the first is killed."""

import pytest

from tests.chaos.one_site import TAKE_OVER_SECONDS, Site, said, until

pytestmark = pytest.mark.chaos

STANDS_BY = "another worker owns the table"


def test_one_carries_and_the_other_takes_over(site: Site) -> None:
    site.fill()
    with site.producing():
        nobody = site.tokens()  # those of migrate
        first = site.worker()
        site.taken_over(nobody)
        second = site.worker()
        until(lambda: said(second, STANDS_BY), 30, "the second stands by", site.logs)
        owners = site.tokens()
        first.kill()
        seconds = site.taken_over(owners)
        print(f"killed: every table was taken over after {seconds:.1f} s")
        assert seconds < TAKE_OVER_SECONDS
    site.finish()


def test_started_together(site: Site) -> None:
    """Which of them gets which table is a matter of chance."""
    site.fill()
    with site.producing():
        nobody = site.tokens()
        workers = [site.worker(), site.worker()]
        site.taken_over(nobody)
        until(lambda: any(said(worker, STANDS_BY) for worker in workers), 30, "somebody stands by", site.logs)
    site.drain()
    tables = len(site.settings.tables)
    assert sum(worker.log_text().count("pipeline started") for worker in workers) == tables
    site.finish()
