"""Read a request's body as what it should be, or say what is wrong with it."""

from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from api.problems import Problem

MAX_BYTES = 65_536

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The body as that model; none at all is `{}`.

    Raises:
        Problem: it is too large, isn't JSON or doesn't say that it is, or isn't of that shape.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BYTES:,} bytes")
    if body and not _says_json(request):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body has to be JSON: send the header `Content-Type: application/json`",
        )
    try:
        return model.model_validate_json(bytes(body).strip() or b"{}", strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        if problems[0]["type"] == "json_invalid":
            raise Problem(HTTPStatus.BAD_REQUEST, f"the body isn't JSON: {problems[0]['msg']}") from None
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the body isn't as it should be: see errors",
            more={"errors": [_describe(problem) for problem in problems]},
        ) from None


def _says_json(request: Request) -> bool:
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    return media_type.strip().lower() == "application/json"


def _describe(problem: ErrorDetails) -> dict[str, str]:
    """As in RFC 9457's own example: where (a JSON pointer) and what."""
    detail = "no such member: remove it" if problem["type"] == "extra_forbidden" else problem["msg"]
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in problem["loc"])
    return {"pointer": "".join(f"/{part}" for part in parts), "detail": detail}
