"""The site's id: as configured, else derived once and kept in the database."""

import secrets

from sqlalchemy import Engine, select
from sqlalchemy.dialects.mysql import insert

from database.schema import site


def site_id(engine: Engine, configured: str) -> str:
    """The id that tells this site's rows from those of others.

    Raises:
        SQLAlchemyError: the database didn't answer, or `bq-sync migrate` has not run.
    """
    if configured:
        return configured
    if (kept := kept_site_id(engine)) is not None:
        return kept
    with engine.begin() as connection:
        # Two workers may come here at once: the first one's id stays.
        connection.execute(insert(site).prefix_with("IGNORE").values(only=1, site_id=secrets.token_hex(6)))
    return site_id(engine, configured)


def kept_site_id(engine: Engine) -> str | None:
    """The derived id; None before the first worker. Raises what `site_id` does."""
    with engine.connect() as connection:
        kept = connection.scalar(select(site.c.site_id))
    return None if kept is None else str(kept)
