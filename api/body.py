"""Read what a request says, in its body, its query or its path, as what it should be; or say what is wrong with it."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NoReturn, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.mistakes import mistakes
from api.problems import Problem

MAX_BYTES = 65_536
BODY_SECONDS = 10.0  # until a body has come in whole

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model], without: Model | None = None) -> Model:
    """The body as that model.

    Args:
        without: what no body at all stands for; None: an empty object.

    Raises:
        Problem: it is too large or too slow, isn't JSON or doesn't say that it is, or isn't of that shape.
    """
    body = await _receive(request)
    if body and not _says_json(request):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body has to be JSON: send the header `Content-Type: application/json`",
        )
    if not body.strip():
        if without is not None:
            return without
        body = b"{}"
    _require_json(body)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        if problems[0]["type"] == "json_invalid":
            raise Problem(HTTPStatus.BAD_REQUEST, f"the body isn't JSON: {problems[0]['msg']}") from None
        raise _unfit(
            "body", [{"pointer": _pointer(place), "detail": what} for place, what in mistakes(error)]
        ) from None


def read_query(request: Request, model: type[Model]) -> Model:
    """The query as that model. Raises Problem: it has something unknown, twice, or of the wrong form."""
    given = request.query_params.multi_items()
    values = dict(given)
    twice = [name for name in values if sum(name == other for other, _ in given) > 1]
    wrong = [{"parameter": name, "detail": "is there twice: say it once"} for name in twice]
    if not wrong:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            wrong = [{"parameter": str(place[0]) if place else "", "detail": what} for place, what in mistakes(error)]
    raise _unfit("query", wrong)


def read_path(request: Request, model: type[Model]) -> Model:
    """The parts of the path as that model. Raises Problem: there can be no such thing."""
    try:
        return model.model_validate(request.path_params)
    except ValidationError:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no {request.url.path}") from None


def _unfit(what: str, errors: Sequence[Mapping[str, str]]) -> Problem:
    """The first mistake stands in the detail too: most requests have just one, and many people read no further."""
    where = errors[0].get("pointer") or errors[0].get("parameter")
    first = f"{where}: {errors[0]['detail']}" if where else errors[0]["detail"]
    more = f" (and {len(errors) - 1} more, see errors)" if len(errors) > 1 else ""
    detail = f"the {what} isn't as it should be: {first}{more}"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, more={"errors": errors})


async def _receive(request: Request) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BYTES:,} bytes")
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body hasn't come in within {BODY_SECONDS:.0f} s",
            headers={"Connection": "close"},
        ) from None
    return bytes(body)


def _says_json(request: Request) -> bool:
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    return media_type.strip().lower() == "application/json"


def _require_json(body: bytes) -> None:
    """What the model's own parser lets pass is refused too: a member twice, of which it would take the last; NaN."""
    try:
        json.loads(body.decode(), object_pairs_hook=_without_twins, parse_constant=_refuse_constant)
    except RecursionError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body isn't JSON: it is nested too deeply") from None
    except ValueError as error:  # of JSON, of UTF-8, or of a number with thousands of digits
        reason = "it isn't UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body isn't JSON: {reason}") from None


def _without_twins(members: Sequence[tuple[str, object]]) -> Mapping[str, object]:
    read = dict(members)
    if len(read) < len(members):
        raise ValueError("an object has the same member twice")
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _pointer(place: Sequence[int | str]) -> str:
    """As in RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
