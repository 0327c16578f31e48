"""What a process that stays says first, and what all its lines carry: a log tells by itself what ran, and where."""

import os
import threading
import time

import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from cli.logs import bind_everywhere
from config.files import find_file
from config.settings import Settings
from database.engine import connect_unpooled
from database.failures import place_of
from database.site import kept_site_id
from delivery.backoff import Backoff
from operations.version import program_version

SITE_SECONDS = 60.0  # between two looks for the site's id, once the first were in vain

log = structlog.get_logger(__name__)


def announce(process: str, settings: Settings) -> None:
    """Say what runs with which settings; every line of this process carries its role, and the site where it is set."""
    bind_everywhere(process=process)
    if settings.site_id:
        site_known(settings.site_id)
    log.info(
        "bq-sync starts",
        version=program_version() or "checkout",
        config=str(find_file(os.environ)),
        enabled=settings.enabled,
        tables=list(settings.tables),
        database=_database(settings),
        bigquery=f"{settings.project_id}.{settings.dataset_id}",
        **({"emulator": settings.storage_endpoint} if settings.storage_endpoint else {}),
    )


def site_known(site: str) -> None:
    """Every line carries the site from now on."""
    bind_everywhere(site=site)


def look_for_site(settings: Settings) -> None:
    """Find out the site's id beside what else the process does, where no worker in it does so."""
    if settings.enabled and not settings.site_id:
        threading.Thread(target=_look_for_site, args=(settings.require_database_url(),), daemon=True).start()


def _look_for_site(database_url: str) -> None:
    engine = connect_unpooled(database_url)
    backoff = Backoff(longest=SITE_SECONDS)
    while True:
        try:
            if site := kept_site_id(engine):
                site_known(site)
                return
        except SQLAlchemyError:
            pass  # others say so
        time.sleep(backoff.next())


def _database(settings: Settings) -> str | None:
    """Where it is, without user and password."""
    if settings.database_url is None:
        return None
    url = make_url(settings.database_url.get_secret_value())
    return f"{place_of(url)}/{url.database}"
