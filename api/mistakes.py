"""What is wrong with a request's body or query, in words for whoever wrote it: pydantic's speak of its own types."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Place = tuple[int | str, ...]

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such thing: leave it out",
    "too_short": "is empty: name one at least, or leave it out",
    "too_long": "has {actual_length:,}: {max_length:,} at most",
    "string_too_short": "is empty: say something, or leave it out",
    "greater_than_equal": "has to be {ge:,} or more",
    "less_than_equal": "has to be {le:,} or less",
    "int_type": "has to be a whole number",
    "bool_type": "has to be true or false",
    "string_type": "has to be a text",
    "tuple_type": "has to be a list",
    "model_type": "has to be an object",
}


def mistakes(error: ValidationError) -> Iterator[tuple[Place, str]]:
    """The place of each mistake, and what is wrong there."""
    found = error.errors(include_url=False, include_input=False)
    for problem in found:
        if not _follows(problem, found):
            yield problem["loc"], _words(problem)


def _follows(problem: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """A list whose members are all wrong is said to be empty too."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(each["loc"][:-1] == place for each in found if each["loc"])


def _words(problem: ErrorDetails) -> str:
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")  # it is ours
    words = _WORDS.get(problem["type"])
    return problem["msg"] if words is None else words.format(**problem.get("ctx", {}))
