"""What callers send to models, before it is scored: each mistake is named by field, with the remedy."""

from typing import Any

import pytest

from lakeloop.serving.answers import RefusedError
from lakeloop.serving.models.asked import asked_of
from lakeloop.serving.models.rows import LONGEST_TEXT, Fields, read_body

KINDS = {
    "age": "double", "plan": "string", "visits": "tinyint", "member": "boolean", "since": "date",
    "seen": "timestamp", "paid": "decimal(6,2)", "weight": "float",
}  # fmt: skip
FIELDS = Fields("churn", KINDS)
GOOD = {
    "age": 5, "plan": "", "visits": 127, "member": False, "since": "2025-01-31", "seen": "2025-01-31T08:30:00Z",
    "paid": "12.50", "weight": 1.5,
}  # fmt: skip


def test_rows_of_the_right_kinds_are_taken_as_they_are() -> None:
    for row in (GOOD, {**GOOD, "visits": 3.0, "paid": 12}, {"age": None}, dict.fromkeys(KINDS)):
        assert FIELDS.require(row) is row


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"agee": 1}, "has no field 'agee'; did you mean 'age'"),
        ({"zzz": 1}, "has no field 'zzz'; it takes age, plan"),
        ({}, "has no field of 'churn'; it takes age, plan"),
        ([], "the row is"),
        ({"age": "5"}, "field 'age': found '5', a number is wanted; null says"),
        ({"age": True}, "field 'age': found True, a number is wanted"),
        ({"age": [5]}, "field 'age': found a list, one value of type double is wanted"),
        ({"age": {}}, "field 'age': found an object"),
        ({"age": float("inf")}, "field 'age': found a number that is out of the range of double"),
        ({"age": 10**400}, "field 'age': found a number of 1,329 bits"),
        ({"weight": 1e39}, "field 'weight': found a number that is out of the range of float"),
        ({"visits": 128}, "field 'visits': found 128, which is out of the range of tinyint"),
        ({"visits": 1.5}, "field 'visits': found 1.5, a whole number is wanted"),
        ({"visits": False}, "field 'visits': found False, a whole number is wanted"),
        ({"plan": 3}, "field 'plan': found 3, a text is wanted"),
        ({"plan": "x" * (LONGEST_TEXT + 1)}, "field 'plan': found a text of 10,001 characters, of 10,000 at most"),
        ({"member": 1}, "field 'member': found 1, true or false is wanted"),
        ({"since": "31.01.2025"}, "field 'since': found '31.01.2025', a date such as"),
        ({"seen": "0001-01-01T00:00:00+23:00"}, "field 'seen': found '0001-01-01T00:00:00\\+23:00', a timestamp"),
        ({"paid": "NaN"}, "field 'paid': found 'NaN', a decimal"),
        ({"paid": "1e999"}, "field 'paid': found '1e999', a decimal"),
        ({"x" * 5000: 1}, "has no field 'xxx"),
    ],
)
def test_wrong_values_are_named_by_field(row: Any, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        FIELDS.require(row)
    assert refused.value.status == 400
    assert len(refused.value.sentence) < 400
    with pytest.raises(RefusedError, match=r"^row 2"):
        asked_of({"rows": [GOOD, row]}, FIELDS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON: EOF"),
        (b'{"row": {"age": NaN}}', "NaN and Infinity are none"),
        (b'{"row": {"age": -Infinity}}', "NaN and Infinity are none"),
        (b'{"row": {"plan": "\\ud800"}}', "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"row": {"age": 1}', "not valid JSON"),
        (b'{"row": ' + b"[" * 100_000, "recursion limit"),
        (b"[1]", "the body is"),
        (b"null", "the body is None"),
    ],
)
def test_bodies_that_are_no_objects_are_refused(body: bytes, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        read_body(body)


def test_the_four_ways_to_ask() -> None:
    one = asked_of({"row": GOOD, "key": 7}, FIELDS)
    assert (one.rows, one.keys, one.is_many) == ((GOOD,), ("7",), False)
    many = asked_of({"rows": [GOOD, GOOD], "keys": ["a", None]}, FIELDS)
    assert (len(many.rows or ()), many.keys, many.is_many) == (2, ["a", None], True)
    assert asked_of({"rows": [GOOD, GOOD], "key": "a"}, FIELDS).keys == ["a", "a"]
    by_id = asked_of({"id": "c1", "as_of": "2026-01-31T08:30:00+01:00"}, FIELDS)
    assert (by_id.rows, by_id.ids, by_id.keys) == (None, ("c1",), ("c1",))
    assert by_id.as_of is not None
    assert by_id.as_of.isoformat() == "2026-01-31T07:30:00+00:00"
    assert asked_of({"ids": [1, "b"]}, FIELDS).ids == ("1", "b")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "one of the fields row, id, rows, ids; found none of them"),
        ({"row": GOOD, "id": "a"}, "found row and id"),
        ({"row": GOOD, "kee": "a"}, "no field 'kee'; did you mean 'key'"),
        ({"row": GOOD, "keys": ["a"]}, "'keys' goes with rows, not with row"),
        ({"row": GOOD, "as_of": "2026-01-31"}, "'as_of' goes with id or ids"),
        ({"id": "a", "key": "a"}, "'key' goes with row or rows, not with id"),
        ({"id": ""}, "field 'id' is ''; it is a text of 1 to 200 characters"),
        ({"id": 1.5}, "field 'id' is 1.5"),
        ({"ids": ["a", None]}, r"field 'ids\[1\]' is None"),
        ({"id": "a", "as_of": "yesterday"}, "field 'as_of' is a time such as"),
        ({"row": GOOD, "key": ["a"]}, "field 'key' is"),
        ({"rows": []}, "field 'rows' is a list of 0; it is a list of 1 to 10,000"),
        ({"rows": {}}, "field 'rows' is no list"),
        ({"rows": [GOOD], "keys": []}, "field 'keys' is a list of as many as there are rows, 1"),
        ({"rows": [GOOD], "keys": ["a"], "key": "a"}, "'key' and 'keys'"),
    ],
)
def test_what_does_not_go_together_is_refused(body: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        asked_of(body, FIELDS)


def test_explanations_are_of_one_row() -> None:
    with pytest.raises(RefusedError, match="one of the fields row, id; found rows"):
        asked_of({"rows": [GOOD]}, FIELDS, many=False)
