"""JSON: strict, exact, and never an error of another kind."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping import json_text
from mapping.json_text import MAX_NESTING
from mapping.values import Unfit

NOT_JSON = [
    "",
    " ",
    "{",
    "[1,]",
    "NaN",
    "-Infinity",
    "01",
    "'a'",
    '"\t"',
    '"\\ud800"',
    '"\ud800"',
    "1 2",
    "\ufeff1",
    "tru",
]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text", ['{"a": [1.50, null]}', "null", ' "a" ', "12345678901234567890", "[" + "{}," * 600 + "1]"]
)
def test_valid_json_is_kept_as_it_stands(text: str) -> None:
    assert json_text.check(text) == text


@pytest.mark.parametrize("text", NOT_JSON)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        json_text.check(text)


def test_nesting_has_a_limit() -> None:
    assert json_text.check(nested(MAX_NESTING))
    for depth in (MAX_NESTING + 1, 5_000, 100_000):
        with pytest.raises(Unfit):
            json_text.check(nested(depth))


def test_what_is_nested_in_an_object_counts_from_there() -> None:
    assert json_text.check(json_text.write({"a": json_text.nested(nested(MAX_NESTING - 1))}))
    with pytest.raises(Unfit):
        json_text.nested(nested(MAX_NESTING))


def test_numbers_are_parsed_exactly() -> None:
    assert json_text.parse("[0.10, 1e2, 3]") == [Decimal("0.10"), Decimal("1E+2"), 3]


@pytest.mark.parametrize("text", ["", "NaN", "1e99999999999999999999", "9" * 5000, nested(100_000)])
def test_what_cannot_be_parsed_is_unfit(text: str) -> None:
    with pytest.raises(Unfit):
        json_text.parse(text)


def test_members_are_parsed_or_kept_raw() -> None:
    text = ' { "a" : { "x" : 1.50 } ,"b":[0.1], "c": null, "d": {"x" : 1.50}}\n'
    found = json_text.members(text, frozenset({"a", "c"}))
    assert found == {"a": '{ "x" : 1.50 }', "b": [Decimal("0.1")], "c": None, "d": {"x": Decimal("1.50")}}
    assert json_text.members("{}", frozenset()) == {}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "1",
            "{",
            '{"a"}',
            '{"a":}',
            '{"a":1',
            '{"a":1,}',
            '{,"a":1}',
            '{"a":1 "b":2}',
            '{"a":1}}',
            "{} {}",
        ),
        *("{1:2}", '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e99999999999999999999}', '{"a":' + nested(50_000) + "}"),
    ],
)
def test_what_is_no_object_is_unfit(text: str) -> None:
    with pytest.raises(Unfit):
        json_text.members(text, frozenset({"a"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sampled_from([None, 2]))
def test_members_of_every_object_are_found(members: dict[str, object], indent: int | None) -> None:
    text = json.dumps(members, indent=indent)
    raw = json_text.members(text, frozenset(members))
    assert {name: None if value is None else json.loads(str(value)) for name, value in raw.items()} == members


@given(st.text(alphabet='{}[]",: \\u0d8\n1e-.null', max_size=40))
def test_members_agree_with_the_standard_parser(text: str) -> None:
    try:
        expected = json.loads(text, object_pairs_hook=list)
    except ValueError:
        expected = None
    try:
        found = json_text.members(text, frozenset())
    except Unfit:
        assert text.strip()[:1] != "{" or expected is None or len(dict(expected)) < len(expected)
    else:
        assert list(found) == [name for name, _ in expected]


def test_writing_keeps_every_digit() -> None:
    value = {"a": Decimal("0.10"), "b": json_text.verbatim("1.500"), "c": json_text.nested('{"x" : 1.0}'), "d": None}
    assert json_text.write(value) == '{"a":0.10,"b":1.500,"c":{"x" : 1.0},"d":null}'


@pytest.mark.parametrize("value", [2**64, "\ud800", {"a": {"\udfff": 1}}])
def test_what_cannot_be_written_is_unfit(value: object) -> None:
    with pytest.raises(Unfit):
        json_text.write(value)
