"""Rows with known violations: what every rule must find, and nothing else.

A case changes cells of a row that is right, and names the rules that it then violates, worked out by hand.
"""

import math
from typing import Any, NamedTuple

from benchmarks.quality_checks import PATTERNS

SCHEMA = (
    "row int, code string, note string, amount double, email string, key string, part_a string, part_b int, "
    "low double, high double, at string, country string"
)
RIGHT = {"code": "A", "note": "fine", "amount": 5.0, "email": "a@b.org", "low": 1.0, "high": 2.0,
         "at": "2025-06-01T12:00:00Z", "country": "IT"}  # fmt: skip
COUNTRIES = ("IT", "DE")
RULES: dict[str, dict[str, Any]] = {
    "not_null": {"is_not_null": {"column": "code"}},
    "not_empty": {"is_not_empty": {"column": "code"}},
    "in_set": {"is_in": {"column": "code", "values": ["A", "B", "C"]}},
    "not_blank": {"is_not_blank": {"column": "note"}},
    "length": {"has_length": {"column": "note", "max": 5}},
    "not_nan": {"is_not_nan": {"column": "amount"}},
    "range": {"is_in_range": {"column": "amount", "min": 0, "max": 100}},
    "pattern": {"matches": {"column": "email", "pattern": PATTERNS["email"]}},
    "unique": {"is_unique": {"columns": ["key"]}},
    "unique_pair": {"is_unique": {"columns": ["part_a", "part_b"]}},
    "in_order": {"compares": {"column": "low", "operator": "<=", "to": "high"}},
    "timestamp": {"is_timestamp": {"column": "at"}},
    "in_2025": {"is_between": {"column": "at", "since": "2025-01-01", "until": "2026-01-01"}},
    "reference": {"references": {"columns": ["country"], "table": "countries", "keys": ["code"]}},
}
NO_TIME = ("timestamp", "in_2025")
BAD_TIMES = ("", "2025", "12:30", "yesterday", "2025-02-30T00:00:00Z", "2025-06-01 25:00:00", "2025-06-01T12:00:00Z\n")
NAN, INF = math.nan, math.inf


class Case(NamedTuple):
    """Cells that are not as in a right row, the rules that they violate, and what the case is about."""

    cells: dict[str, Any]
    violates: tuple[str, ...] = ()


CASES = (
    Case({}),
    Case({"code": "B"}),
    Case({"code": None}, ("not_null",)),
    Case({"code": ""}, ("not_empty", "in_set")),
    Case({"code": "a"}, ("in_set",)),
    Case({"code": "A "}, ("in_set",)),
    Case({"code": "A\n"}, ("in_set",)),
    Case({"code": "D"}, ("in_set",)),
    *(Case({"note": text}, ("not_blank",)) for text in (None, "", " ", "\t\n", "\u00a0", "\u3000")),
    Case({"note": "ééééé"}),  # ten bytes
    Case({"note": "😀😀😀😀😀"}),  # ten units of UTF-16
    Case({"note": "abcdef"}, ("length",)),
    Case({"note": "abcde\n"}, ("length",)),
    *(Case({"amount": number}) for number in (None, 0.0, -0.0, 100.0)),
    *(Case({"amount": number}, ("range",)) for number in (100.00001, -1e-9, INF, -INF)),
    Case({"amount": NAN}, ("not_nan", "range")),
    *(Case({"email": text}) for text in (None, "ü@b.org")),
    *(
        Case({"email": text}, ("pattern",))
        for text in ("", "a@b", "a@b.org\n", "\na@b.org", " a@b.org", "a b@c.org", "x@y.org a@b.org")
    ),
    *[Case({"key": "two"}, ("unique",))] * 2,
    *[Case({"key": "three"}, ("unique",))] * 3,
    *[Case({"key": ""}, ("unique",))] * 2,
    *[Case({"key": None})] * 4,
    *(Case({"key": text}) for text in ("Two", "two ")),
    *[Case({"part_a": "x", "part_b": 1}, ("unique_pair",))] * 2,
    *[Case({"part_a": "y", "part_b": 7}, ("unique_pair",))] * 3,
    Case({"part_a": "x", "part_b": 2}),
    *[Case({"part_a": "x", "part_b": None})] * 2,
    *[Case({"part_a": None, "part_b": 1})] * 2,
    *[Case({"part_a": None, "part_b": None})] * 2,
    *(Case({"part_a": text, "part_b": number}) for text, number in (("z1", 2), ("z", 12))),  # one text, put together
    *(
        Case({"low": low, "high": high})
        for low, high in ((2.0, 2.0), (None, 1.0), (1.0, None), (None, None), (-INF, INF))
    ),
    *(
        Case({"low": low, "high": high}, ("in_order",))
        for low, high in ((3.0, 2.0), (NAN, 1.0), (1.0, NAN), (NAN, NAN))
    ),
    *(
        Case({"at": text})
        for text in (None, "2025-06-01 12:30:00", "2025-06-01T12:30:00+02:00", "2025-01-01T00:00:00Z")
    ),
    *(Case({"at": text}, NO_TIME) for text in BAD_TIMES),
    Case({"at": "2026-01-01T00:30:00+02:00"}),  # half past ten in the evening of the day before, in UTC
    *(
        Case({"at": text}, ("in_2025",))
        for text in ("2025-12-31T23:30:00-02:00", "2025-01-01T00:30:00+01:00", "2026-01-01T00:00:00Z")
    ),
    *(Case({"country": code}) for code in (None, "DE")),
    *(Case({"country": code}, ("reference",)) for code in ("XX", "it", "IT ", "")),
)


def planted_rows() -> list[tuple[Any, ...]]:
    """The rows, numbered from 0, in the order of the schema; keys that a case does not name are the row's own."""
    names = [column.split()[0] for column in SCHEMA.split(", ")]
    rows = []
    for number, case in enumerate(CASES):
        own = {"row": number, "key": f"key {number}", "part_a": f"part {number}", "part_b": 1}
        cells = {**RIGHT, **own, **case.cells}
        rows.append(tuple(cells[name] for name in names))
    return rows


def planted(rule: str) -> set[int]:
    """The numbers of the rows that violate the rule."""
    return {number for number, case in enumerate(CASES) if rule in case.violates}


def precision_and_recall(rule: str, found: set[int]) -> tuple[float, float]:
    """The share of the found rows that violate the rule, and the share of those that do that was found."""
    right = planted(rule)
    return (len(found & right) / len(found) if found else 1.0), len(found & right) / len(right)
