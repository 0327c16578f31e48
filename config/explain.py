"""What pydantic finds wrong, in words for whoever writes the configuration."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]

# pydantic's own words name Python types; these name what to write.
_WORDS = {
    "missing": "is missing: add it",
    "string_type": "must be a text: put it in quotes",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list: [one, another]",
    "dict_type": "must be a section with `name: value` lines",
    "model_type": "must be a section with `name: value` lines",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has a character that isn't allowed there, or is too long",
}


def explain(problem: ErrorDetails, names: Mapping[int, Collection[str]]) -> tuple[str, str]:
    """The setting's name, and what is wrong with it.

    Args:
        names: the settings there are, by depth: 1 for those of bq-sync, 3 for those of a table.
    """
    location = _readable(problem["loc"])
    name = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return name, _unknown(location, names)
    own_words = problem["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    return name, _WORDS.get(problem["type"], own_words)


def _readable(location: Location) -> Location:
    """The location as it stands in the file: without pydantic's names for the kinds of a column's origin."""
    if location[0] == "tables" and location[2:3] == ("columns",):
        # tables, TABLE, columns, COLUMN, kind, object, MEMBER, kind
        location = tuple(part for place, part in enumerate(location) if place not in (4, 7))
    return location


def _unknown(location: Location, names: Mapping[int, Collection[str]]) -> str:
    similar = get_close_matches(str(location[-1]), names.get(len(location), ()), n=1)
    return f"no such setting: did you mean {similar[0]}?" if similar else "no such setting: remove it"
