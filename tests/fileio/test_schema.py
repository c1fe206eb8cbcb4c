"""Values from JSON are checked against a shape, and shortened in messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.fileio.schema import check, parse_json, quoted

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
SHAPE = {"name": str, "size?": range(10), "tags?": [str], "scores?": {str: float}, "k?": (None, int), "x?": object}


@pytest.mark.parametrize(
    "value",
    [
        {"name": ""},
        {"name": "a", "other": [1]},
        {"name": "a", "size": 0, "tags": [], "scores": {}, "k": None, "x": [None]},
        {"name": "a", "size": 9, "tags": ["b"], "scores": {"c": 1, "d": 0.5}, "k": -3},
    ],
)
def test_values_of_the_shape(value: Any) -> None:
    check(value, SHAPE)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], r"the content is \[\], not an object"),
        ({}, "name is missing"),
        ({"name": 5}, "name is 5, not text"),
        ({"name": "a", "size": 10}, "size is 10, not an integer from 0 to 9"),
        ({"name": "a", "size": True}, "size is true"),
        ({"name": "a", "size": 10**400}, "size is a number of more than 64 bits"),
        ({"name": "a", "k": "x"}, "k is 'x', not null or an integer"),
        ({"name": "a", "k": 2**63}, "k is a number of more than 64 bits"),
        ({"name": "a", "tags": ["b", 1]}, r"tags\[1\] is 1, not text"),
        ({"name": "a", "scores": {"c": float("nan")}}, r"scores\.c is NaN, not a finite number"),
        ({"name": "a" * 999, "tags": "a" * 999}, "tags is 'a{58}…, not a list"),
    ],
)
def test_other_values_are_named_with_what_is_expected(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}"):
        check(value, SHAPE)


def test_named_entries_beside_any_others() -> None:
    shape = {"name": str, "size?": int, str: object}
    check({"name": "a", "other": [1]}, shape)
    with pytest.raises(ValueError, match="^name is missing"):
        check({"other": "a"}, shape)
    with pytest.raises(ValueError, match="^size is 'a'"):
        check({"name": "a", "size": "a"}, shape)


@given(ANY_JSON)
def test_any_value_is_accepted_or_refused_in_one_short_line(value: Any) -> None:
    message = ""
    try:
        check(value, SHAPE)
    except ValueError as error:
        message = str(error)
    assert len(message) < 250
    assert "\n" not in message
    assert len(quoted(value)) <= 60


@pytest.mark.parametrize("text", ["[" * 10**5, '{"x": ' * 10**5, '{"name": "a", "x": ' + "[" * 100 + "]" * 100 + "}"])
def test_deeply_nested_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|Expecting"):
        parse_json(text, SHAPE)


def test_a_number_with_thousands_of_digits_is_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match="6,000 digits"):
        parse_json('{"size": ' + "9" * 6000 + "}", SHAPE)


@given(ANY_JSON)
def test_what_is_accepted_can_be_written_again(value: Any) -> None:
    try:
        found = parse_json(json.dumps(value), object)
    except ValueError:
        return
    json.dumps(found, indent=2)
