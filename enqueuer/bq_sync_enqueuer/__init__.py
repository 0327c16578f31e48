"""The producer's side of bq-sync: items for `bq_sync_queue`, in the caller's own transaction."""

from bq_sync_enqueuer.enqueuer import BqSyncEnqueuer
from bq_sync_enqueuer.payload import PayloadError

__all__ = ["BqSyncEnqueuer", "PayloadError"]
