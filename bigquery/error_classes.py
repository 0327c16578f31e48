"""What each error code of BigQuery means: its class and why, and whether the service itself refused.

Sources: the reference of BigQueryWrite.AppendRows and StorageError, "Error messages" in BigQuery's documentation, and
what other writers found (googleapis/python-bigquery-storage, supabase/etl). A code that isn't listed is UNKNOWN.
"""

from collections.abc import Mapping

import grpc
from google.cloud.bigquery_storage_v1.types import StorageError

from delivery.errors import ErrorClass

BLOCKED = ErrorClass.BLOCKED
QUOTA = ErrorClass.QUOTA
STREAM = ErrorClass.STREAM
TRANSIENT = ErrorClass.TRANSIENT

Meaning = tuple[ErrorClass, str]
NO_MEANING: Meaning = (ErrorClass.UNKNOWN, "an error that bq-sync doesn't know")
COLUMN_MISSING: Meaning = (BLOCKED, "the table lacks a column that is configured, or got it only minutes ago")

StorageCode = StorageError.StorageErrorCode
Grpc = grpc.StatusCode

# The most precise: what the Storage Write API attaches to its answers.
STORAGE_ERRORS: Mapping[int, Meaning] = {
    StorageCode.TABLE_NOT_FOUND: (BLOCKED, "the table doesn't exist, or was made only minutes ago"),
    StorageCode.STREAM_NOT_FOUND: (STREAM, "the stream doesn't exist any more"),  # collected after days of silence
    StorageCode.STREAM_ALREADY_COMMITTED: (STREAM, "the stream takes no more rows"),
    StorageCode.STREAM_FINALIZED: (STREAM, "the stream is finalized"),  # another owner recovered this table
    StorageCode.INVALID_STREAM_STATE: (STREAM, "the stream takes no more rows"),  # finalized, or collected
    StorageCode.INVALID_STREAM_TYPE: (STREAM, "the stream is of another type"),  # not one that we made
    StorageCode.OFFSET_OUT_OF_RANGE: (STREAM, "the stream is shorter than we took it for"),
    # Writers see a new column after minutes; a column that was dropped needs somebody to act.
    StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS: COLUMN_MISSING,
    # Customer-managed encryption keys: all but the key service's own trouble need the key's owner.
    StorageCode.CMEK_NOT_PROVIDED: (BLOCKED, "the dataset's encryption key isn't given"),
    StorageCode.INVALID_CMEK_PROVIDED: (BLOCKED, "the dataset's encryption key is wrong"),
    StorageCode.CMEK_ENCRYPTION_ERROR: (BLOCKED, "the dataset's encryption key can't be used"),
    StorageCode.KMS_PERMISSION_DENIED: (BLOCKED, "the dataset's encryption key may not be used"),
    StorageCode.KMS_SERVICE_ERROR: (TRANSIENT, "the key service is in trouble"),
}

GRPC_CODES: Mapping[grpc.StatusCode, Meaning] = {
    # The network, a server going away, 600 s of silence (ABORTED): they pass.
    Grpc.UNAVAILABLE: (TRANSIENT, "BigQuery can't be reached"),
    Grpc.DEADLINE_EXCEEDED: (TRANSIENT, "BigQuery didn't answer in time"),
    Grpc.INTERNAL: (TRANSIENT, "BigQuery has an internal error"),
    Grpc.CANCELLED: (TRANSIENT, "the call was cancelled"),
    Grpc.ABORTED: (TRANSIENT, "BigQuery ended the call"),
    Grpc.RESOURCE_EXHAUSTED: (QUOTA, "a quota of BigQuery is used up"),
    # Ours to mend; each is looked at again at the next probe.
    Grpc.UNAUTHENTICATED: (
        BLOCKED,
        "BigQuery refuses the credentials: check the key, and this machine's clock",
    ),
    Grpc.PERMISSION_DENIED: (BLOCKED, "the service account lacks a permission on the table"),
    Grpc.NOT_FOUND: (BLOCKED, "the table or dataset doesn't exist, or was made only minutes ago"),
    Grpc.FAILED_PRECONDITION: (BLOCKED, "BigQuery refuses the request as things stand"),
    Grpc.INVALID_ARGUMENT: (BLOCKED, "BigQuery refuses the request without naming a row: compare the columns"),
    Grpc.UNIMPLEMENTED: (BLOCKED, "what answers at the endpoint isn't the Storage Write API"),
    Grpc.OUT_OF_RANGE: (STREAM, "the stream is shorter than we took it for"),
    Grpc.ALREADY_EXISTS: (STREAM, "what was to be made exists already"),  # of an append: AlreadyThere
}

# Codes that are an answer of the service: it looked at the request and refused it. The others may also come from the
# network, from a server that died after it had written, or from our own side of the call.
REFUSALS = frozenset(
    {
        Grpc.INVALID_ARGUMENT,
        Grpc.NOT_FOUND,
        Grpc.PERMISSION_DENIED,
        Grpc.UNAUTHENTICATED,
        Grpc.FAILED_PRECONDITION,
        Grpc.OUT_OF_RANGE,
        Grpc.RESOURCE_EXHAUSTED,
        Grpc.ALREADY_EXISTS,
    }
)

# What REST errors carry as `reason` (documentation: "Error messages").
REST_REASONS: Mapping[str, Meaning] = {
    "quotaExceeded": (QUOTA, "a quota of BigQuery is used up"),
    "rateLimitExceeded": (QUOTA, "too many requests at once"),
    "jobRateLimitExceeded": (QUOTA, "too many jobs at once"),
    "resourcesExceeded": (QUOTA, "the query needs too much at once"),
    "backendError": (TRANSIENT, "BigQuery has an internal error"),
    "internalError": (TRANSIENT, "BigQuery has an internal error"),
    "jobBackendError": (TRANSIENT, "BigQuery has an internal error"),
    "jobInternalError": (TRANSIENT, "BigQuery has an internal error"),
    "tableUnavailable": (TRANSIENT, "the table is unavailable for now"),
    "stopped": (TRANSIENT, "the job was stopped"),
    "timeout": (TRANSIENT, "the job took too long"),
    "bytesBilledLimitExceeded": (BLOCKED, "the query would scan more than lookup_max_bytes allows"),
    "billingTierLimitExceeded": (BLOCKED, "the query costs more than the project allows"),
    "billingNotEnabled": (BLOCKED, "the project has no billing account"),
    "accessDenied": (BLOCKED, "the service account lacks a permission"),
    "notFound": (BLOCKED, "the table or dataset doesn't exist, or was made only minutes ago"),
    "invalid": (BLOCKED, "BigQuery refuses the request"),
    "invalidQuery": (BLOCKED, "BigQuery refuses the query: compare the columns"),
    "blocked": (BLOCKED, "BigQuery has blocked this for now: its administrator knows more"),
    "policyViolation": (BLOCKED, "a policy of the project forbids this"),
    "responseTooLarge": (BLOCKED, "the answer is too large"),
}

# What insertAll says of single rows when it wrote none of the request: that a row is guilty, or only came with one that
# is. Other reasons are those of REST_REASONS.
INVALID, STOPPED = "invalid", "stopped"

# Where there is no reason that we know.
HTTP_CODES: Mapping[int, Meaning] = {
    400: (BLOCKED, "BigQuery refuses the request"),
    401: (BLOCKED, "BigQuery refuses the credentials: check the key, and this machine's clock"),
    403: (BLOCKED, "the service account lacks a permission"),
    404: (BLOCKED, "the table or dataset doesn't exist, or was made only minutes ago"),
    407: (BLOCKED, "a proxy wants credentials"),
    408: (TRANSIENT, "BigQuery didn't answer in time"),
    429: (QUOTA, "too many requests at once"),
    500: (TRANSIENT, "BigQuery has an internal error"),
    502: (TRANSIENT, "BigQuery can't be reached"),
    503: (TRANSIENT, "BigQuery can't be reached"),
    504: (TRANSIENT, "BigQuery didn't answer in time"),
}

# Client errors that don't refuse: the request waited too long, is a repetition, or was given up by the client's side.
MAY_BE_DONE = frozenset({408, 409, 499})

# Errors whose text names resources, columns, permissions and limits, never a row's values: it may be quoted whole.
QUOTABLE = frozenset(
    {
        Grpc.PERMISSION_DENIED.name,
        Grpc.UNAUTHENTICATED.name,
        Grpc.NOT_FOUND.name,
        Grpc.RESOURCE_EXHAUSTED.name,
        StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS.name,
        "accessDenied",
        "notFound",
        "quotaExceeded",
        "rateLimitExceeded",
        "bytesBilledLimitExceeded",
        "policyViolation",
    }
)
