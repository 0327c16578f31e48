"""All that the API does, on one page: what routes, checks and documents each operation."""

from http import HTTPStatus

from api.controlling import Controlling
from api.looking import Looking
from api.models.base import TablesRequest
from api.models.commands import (
    CommandAnswer,
    CommandPath,
    FlushAnswer,
    PauseAnswer,
    RetentionAnswer,
    RetentionRequest,
    RunningFlush,
)
from api.models.failed import ClearAnswer, FailedAnswer, FailedQuery, ItemsRequest, RetryAnswer
from api.models.status import ActivityAnswer, HealthAnswer, ProbeAnswer, SessionAnswer, StatusAnswer
from api.operation import Operation
from api.paths import ACTIVITY, COMMANDS, FAILED, FLUSH, HEALTH, PAUSE, RESUME, RETENTION, RETRY, SESSION, STATUS

OK, ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED
NOT_FOUND, CONFLICT, UNAVAILABLE = HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE


def operations_of(look: Looking, control: Controlling) -> tuple[Operation, ...]:
    """Every operation but the dashboard's files, /metrics and the document itself."""
    all_tables, everything = TablesRequest(), ItemsRequest(all=True)
    return (
        Operation("GET", "/livez", look.livez, {OK: ProbeAnswer}, is_open=True),
        Operation("GET", "/readyz", look.readyz, {OK: ProbeAnswer}, (UNAVAILABLE,), is_open=True),
        Operation("GET", SESSION, look.session, {OK: SessionAnswer}),
        Operation("GET", STATUS, look.status, {OK: StatusAnswer}, (UNAVAILABLE,)),
        Operation("GET", HEALTH, look.health, {OK: HealthAnswer, UNAVAILABLE: HealthAnswer}),
        Operation("GET", ACTIVITY, look.activity, {OK: ActivityAnswer}, (UNAVAILABLE,)),
        Operation("GET", FAILED, look.failed, {OK: FailedAnswer}, (UNAVAILABLE,), query=FailedQuery),
        Operation(
            "GET",
            COMMANDS + "/{id}",
            look.command,
            {OK: CommandAnswer},
            (NOT_FOUND, UNAVAILABLE),
            place=CommandPath,
        ),
        Operation(
            "POST",
            FLUSH,
            control.flush,
            {OK: FlushAnswer, ACCEPTED: RunningFlush},
            (CONFLICT, UNAVAILABLE),
            body=TablesRequest,
            without_body=all_tables,
        ),
        Operation(
            "POST",
            RETENTION,
            control.retention,
            {OK: RetentionAnswer, ACCEPTED: RetentionAnswer},
            (CONFLICT, UNAVAILABLE),
            body=RetentionRequest,
            without_body=RetentionRequest(),
        ),
        Operation(
            "POST",
            PAUSE,
            control.pause,
            {OK: PauseAnswer, ACCEPTED: PauseAnswer},
            (UNAVAILABLE,),
            body=TablesRequest,
            without_body=all_tables,
        ),
        Operation(
            "POST",
            RESUME,
            control.resume,
            {OK: PauseAnswer, ACCEPTED: PauseAnswer},
            (UNAVAILABLE,),
            body=TablesRequest,
            without_body=all_tables,
        ),
        Operation(
            "POST",
            RETRY,
            control.retry,
            {OK: RetryAnswer},
            (NOT_FOUND, CONFLICT, UNAVAILABLE),
            body=ItemsRequest,
        ),
        Operation(
            "DELETE",
            FAILED,
            control.clear_failed,
            {OK: ClearAnswer},
            (NOT_FOUND, CONFLICT, UNAVAILABLE),
            body=ItemsRequest,
            without_body=everything,
        ),
    )
