"""Read what a request says, in its body, its query or its path, as what it should be; or say what is wrong with it."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NoReturn, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

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
        mistakes = [{"pointer": _pointer(problem["loc"]), "detail": _detail(problem)} for problem in problems]
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the body isn't as it should be: see errors", more={"errors": mistakes}
        ) from None


def read_query(request: Request, model: type[Model]) -> Model:
    """The query as that model. Raises Problem: it has something unknown, twice, or of the wrong form."""
    given = request.query_params.multi_items()
    values = dict(given)
    twice = [name for name in values if sum(name == other for other, _ in given) > 1]
    mistakes = [{"parameter": name, "detail": "is there twice: say it once"} for name in twice]
    if not mistakes:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            mistakes = [{"parameter": _parameter(problem), "detail": _detail(problem)} for problem in problems]
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "the query isn't as it should be: see errors", more={"errors": mistakes}
    )


def read_path(request: Request, model: type[Model]) -> Model:
    """The parts of the path as that model. Raises Problem: there can be no such thing."""
    try:
        return model.model_validate(request.path_params)
    except ValidationError:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no {request.url.path}") from None


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


def _parameter(problem: ErrorDetails) -> str:
    return str(problem["loc"][0]) if problem["loc"] else ""


def _detail(problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "there is no such thing: leave it out"
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case _:
            return problem["msg"]
