"""How one table fares: what waits, what failed, and what it does now, by one word that is the same for all who look."""

from dataclasses import dataclass
from datetime import datetime

from database.counting import NONE, Count
from database.daily_checks import LastCheck
from database.retention_reports import LastRun
from database.rowless import Rowless

# States that no owner notes (`actors.messages.TableState` has those that it does).
UNPREPARED = "unprepared"  # the database isn't ready for the table
NO_WORKER = "no worker"  # nobody owns it, so nothing is sent
PAUSING, RESUMING = "pausing", "resuming"  # an operator wants it; the owner hasn't said that it follows

_PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class TableStatus:
    """How one table fares.

    Attributes:
        noted: the state that its owner noted last (`actors.messages.TableState`), or UNPREPARED. What it does now is
            `state`: an owner that died notes nothing.
        noted_reason: of that, in words.
        paused: an operator wants nothing sent until it is resumed; `state` says whether its owner knows.
        owner_alive: some worker holds the table's lock at this moment.
        pending: what waits for BigQuery, each row once: items that are pending, and rows whose flag is FALSE that no
            item decides about.
        syncing: items whose batch is on its way.
        completed: items that are done, and not cleaned yet.
        failed: items that BigQuery can't take.
        abandoned: items that are never sent: given up, or no INSERT.
        synced: rows sent, a running total.
        oldest_pending_age_seconds: of what is pending; negative where its time lies in the future. None: nothing
            is pending, or its age can't be told. Of many rows, those with the smallest keys are looked at.
        rowless: the pending items that wait for rows which aren't there; None: none is known.
        last_retention: None: it never ran.
        last_check: the last daily comparison with BigQuery; None: there was none.
    """

    noted: str
    noted_reason: str | None = None
    paused: bool = False
    owner_alive: bool = False
    pending: Count = NONE
    syncing: Count = NONE
    completed: Count = NONE
    failed: Count = NONE
    abandoned: Count = NONE
    synced: int = 0
    oldest_pending_age_seconds: float | None = None
    rowless: Rowless | None = None
    last_sync_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None
    last_retention: LastRun | None = None
    last_check: LastCheck | None = None

    @property
    def state(self) -> str:
        """What it does now: one word, the same wherever somebody looks (docs/api.md has them all)."""
        if self.noted == UNPREPARED:
            return UNPREPARED
        if not self.owner_alive:
            return NO_WORKER
        if self.paused != (self.noted == _PAUSED):
            return PAUSING if self.paused else RESUMING
        return self.noted

    @property
    def reason(self) -> str | None:
        """Of the state, in words. What a worker noted that is gone is no reason of anything now."""
        return None if self.state == NO_WORKER else self.noted_reason
