"""What a run of retention did, or would do: kept with the command that it answers, and shown in the status."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from delivery.rows import Key

EXAMPLES = 20  # ids for each reason


class Refusal(StrEnum):
    """Why an old row stays."""

    NOT_IN_BIGQUERY = "notInBigQuery"  # its flag says it was sent, but BigQuery doesn't have it
    NOT_IN_LEDGER = "notInLedger"  # its flag says it was sent, but no completed batch holds it
    WAITS = "waits"  # an item of it is pending or on its way
    FAILED = "failed"  # an item of it failed
    NOT_SYNCED = "notSynced"  # its flag is FALSE
    HISTORY = "history"  # its flag is NULL
    NO_AGE = "noAge"  # its age is NULL, or what a clock said that wasn't set
    FOREIGN_KEY = "foreignKey"  # another table's rows need it
    TRIGGER = "trigger"  # a trigger of the source table forbids it


@dataclass(slots=True)
class Report:
    """Filled in while the run goes on.

    Attributes:
        cutoff: rows from before it are old.
        deleted: rows; `would_delete` in a dry run.
        abandoned: those of them that were given up, and that BigQuery never had.
        oldest, newest: of the deleted rows.
        cleaned: of bq-sync's own tables, rows that went: items, batches, streams, commands.
        notes: what else there is to know, in sentences.
        problem: why the run ended before its end.
    """

    dry_run: bool
    started_at: datetime
    cutoff: datetime | None = None
    deleted: int = 0
    would_delete: int = 0
    abandoned: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    refused: Counter[Refusal] = field(default_factory=Counter)
    examples: dict[Refusal, list[Key]] = field(default_factory=dict)
    cleaned: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problem: str | None = None
    ended_at: datetime | None = None

    @property
    def unconfirmed(self) -> int:
        """Rows that are marked as synced, but that BigQuery doesn't have as far as anybody knows."""
        return self.refused[Refusal.NOT_IN_BIGQUERY] + self.refused[Refusal.NOT_IN_LEDGER]

    def refuse(self, reason: Refusal, keys: Iterable[Key]) -> None:
        """Rows that stay."""
        listed = list(keys)
        self.refused[reason] += len(listed)
        examples = self.examples.setdefault(reason, [])
        examples += listed[: EXAMPLES - len(examples)]

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def went(self, rows: int, ages: Iterable[datetime]) -> None:
        """So many rows of these ages were deleted, or would be."""
        if self.dry_run:
            self.would_delete += rows
        else:
            self.deleted += rows
        known = list(ages)
        self.oldest = min([*known, *filter(None, [self.oldest])], default=None)
        self.newest = max([*known, *filter(None, [self.newest])], default=None)

    def as_json(self) -> dict[str, object]:
        """As it is kept and shown; `finished` is false while the run goes on, and where it ended before its end."""
        return {
            "dryRun": self.dry_run,
            "finished": self.ended_at is not None and self.problem is None,
            "problem": self.problem,
            "startedAt": _text(self.started_at),
            "endedAt": _text(self.ended_at),
            "cutoff": _text(self.cutoff),
            "deleted": self.deleted,
            "wouldDelete": self.would_delete,
            "abandoned": self.abandoned,
            "oldest": _text(self.oldest),
            "newest": _text(self.newest),
            "refused": {reason.value: count for reason, count in self.refused.items() if count},
            "examples": {reason.value: keys for reason, keys in self.examples.items() if keys},
            "cleaned": {what: count for what, count in self.cleaned.items() if count},
            "notes": self.notes,
        }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
