"""Rows that a scorer may get wrong: NULL, NaN, unseen and odd categories, extremes, both sides of every boundary."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from lakeloop.scoring.kinds import DECIMAL, WHOLE, arrow_type
from lakeloop.scoring.origins import Boundary, boundaries_of
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.scalars import Index

TEXTS = [
    "",
    " ",
    "NULL",
    "null",
    "none of these",
    "Ünïcode 東京 \U0001f600",
    "with 'quotes' \" and `ticks`",
    "\n\t",
    "0",
    "x" * 300,
]
DOUBLES = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-17, 0.1 + 0.2, 1e7, 9_999_999.999, 1e-3]
FLOATS = [math.nan, math.inf, -math.inf, 0.0, -0.0, float(np.float32(3.4e38)), float(np.float32(0.1)), 1e7]
DAYS = [date(1, 1, 1), date(1582, 10, 15), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
TIMES = [datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=UTC) for day in DAYS[2:5]]


def corpus(scorer: Scorer, sample: Sequence[Mapping[str, Any]], most: int = 20_000) -> list[dict[str, Any]]:
    """The rows of `sample`, and each column's odd values, categories and boundaries in turn within one of them.

    Boundaries of a split are its threshold and the numbers next to it, as far as it can be told which number of the
    table a slot is. Of more than `most` rows as many are taken, evenly. The same scorer and sample give the same rows.
    """
    rows = [{name: row.get(name) for name in scorer.columns} for row in sample]
    empty: dict[str, Any] = dict.fromkeys(scorer.columns)
    rows.append(empty)
    hosts = rows[:-1] or [empty]
    made = [
        {**hosts[number % len(hosts)], name: value}
        for number, (name, value) in enumerate(_odd_values(scorer, boundaries_of(scorer)))
    ]
    if len(rows) + len(made) > most:
        step = len(made) / max(most - len(rows), 1)
        made = [made[int(at * step)] for at in range(max(most - len(rows), 0))]
    return [*rows, *made]


def _odd_values(scorer: Scorer, boundaries: Sequence[Boundary]) -> Iterator[tuple[str, Any]]:
    labels: dict[str, set[str]] = defaultdict(set)
    for stage in scorer.stages:
        if isinstance(stage, Index):
            for source, known in zip(stage.inputs, stage.labels, strict=True):
                labels[source.removesuffix("__category")].update(known)
    for name, kind in scorer.columns.items():
        yield name, None
        if kind == "string":
            yield from ((name, text) for text in [*TEXTS, *sorted(labels[name])])
        else:
            yield from ((name, value) for value in _odd_of(kind))
    for boundary in boundaries:
        yield from ((boundary.column, value) for value in _around(boundary.value, scorer.columns[boundary.column]))


def _odd_of(kind: str) -> list[Any]:
    if kind in WHOLE:
        most = 1 << (arrow_type(kind).bit_width - 1)
        return [0, 1, -1, most - 1, -most]
    if found := DECIMAL.fullmatch(kind):
        most = Decimal(10) ** (int(found[1]) - int(found[2])) - Decimal(1).scaleb(-int(found[2]))
        return [Decimal(0), most, -most]
    odd: dict[str, list[Any]] = {"boolean": [True, False], "double": DOUBLES, "float": FLOATS, "date": DAYS}
    return odd.get(kind, TIMES)


def _around(value: float, kind: str) -> list[Any]:
    """The numbers of a kind that are next to a value on both sides, and it."""
    if not math.isfinite(value):
        return []
    if kind in WHOLE:
        most = 1 << (arrow_type(kind).bit_width - 1)
        return [whole for whole in (math.floor(value), math.ceil(value)) if -most <= whole < most]
    if kind == "double":
        return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]
    if kind == "float":
        single = np.float32(value)
        return [float(single), *(float(np.nextafter(single, np.float32(side))) for side in (-np.inf, np.inf))]
    if found := DECIMAL.fullmatch(kind):
        step = Decimal(1).scaleb(-int(found[2]))
        near = Decimal(repr(value)).quantize(step)
        return (
            [near - step, near, near + step] if abs(near) < Decimal(10) ** (int(found[1]) - int(found[2])) - 1 else []
        )
    return []
