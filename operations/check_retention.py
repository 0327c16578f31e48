"""What `bq-sync check` says about retention of one source table: that its old rows are deleted, and what forbids it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings, TableSettings
from database.facts import ServerFacts
from database.failures import explain
from database.grants import lacking_rights
from database.referring import ReferringKey, delete_triggers, referring_keys
from operations.check_database import grant
from operations.findings import Finding, ok, warning

KEEP = "set retention_days: null to keep them for ever"


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """What the database says: whether the user may delete rows of the table, and what happens when they are deleted."""

    may_delete: bool
    keys: Sequence[ReferringKey] = ()
    triggers: Sequence[str] = ()


def check_retention(engine: Engine, name: str, settings: Settings, server: ServerFacts) -> Iterator[Finding]:
    """The findings about a table that is there."""
    table = settings.tables[name]
    if (never := judge_settings(name, table)) is not None:
        yield never
        return
    try:
        with engine.connect() as connection:
            facts = RetentionFacts(
                may_delete=not lacking_rights(connection, name, {"DELETE": ()}),
                keys=referring_keys(connection, name),
                triggers=delete_triggers(connection, name),
            )
    except SQLAlchemyError as problem:
        yield warning(name, f"whether old rows can be deleted isn't known: {explain(problem)}", "check again")
        return
    yield from judge_retention(name, facts, settings, server)


def judge_settings(name: str, table: TableSettings) -> Finding | None:
    """That no row is ever deleted, by the settings; None: old ones are."""
    if table.retention_days is None:
        return ok(name, "rows are kept for ever (retention_days: null)")
    if table.synced_flag is None:
        return ok(name, "rows are never deleted here: without synced_flag nothing in them says that they were sent")
    if table.age_column is None:
        return ok(name, "rows are never deleted here: without age_column nothing says how old they are")
    return None


def judge_retention(name: str, facts: RetentionFacts, settings: Settings, server: ServerFacts) -> Iterator[Finding]:
    days = settings.tables[name].retention_days
    yield ok(name, f"rows older than {days} days that BigQuery has are deleted here{_when(settings)}: {KEEP}")
    if not facts.may_delete:
        fix = f"{grant(server, name, ('DELETE',))}; or {KEEP}"
        yield warning(name, "old rows can't be deleted: the user lacks DELETE on the table", fix)
    for key in facts.keys:
        if key.spreads:
            yield warning(
                name,
                f"old rows aren't deleted: the foreign key {key.name} of {key.child} is ON DELETE {key.rule}, so that"
                f" rows of {key.child} would be lost, which BigQuery may not have",
                f"make it ON DELETE RESTRICT (rows that it refers to stay then), or {KEEP}",
            )
        else:
            text = f"old rows that the foreign key {key.name} of {key.child} refers to stay"
            yield warning(name, text, f"delete those of {key.child} first, unless they may stay")
    if facts.triggers:
        yield warning(
            name,
            f"DELETE triggers ({', '.join(facts.triggers)}) run when old rows are deleted",
            f"see that they may, or {KEEP}",
        )


def _when(settings: Settings) -> str:
    if settings.retention_schedule is None:
        return " when somebody asks (retention_schedule: never)"
    zone = settings.database_timezone or "this machine's time"
    return f", every day at {settings.retention_schedule} ({zone})"
