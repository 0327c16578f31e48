"""Errors, as RFC 9457 has them."""

from pydantic import BaseModel, ConfigDict


class Mistake(BaseModel):
    """Something that is wrong with a request, and where: in the body (a JSON pointer) or in the query."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemAnswer(BaseModel):
    """What is answered instead of the result: what is wrong, and the fix; there may be further members."""

    model_config = ConfigDict(extra="allow")

    title: str
    status: int
    detail: str
    errors: list[Mistake] = []
