"""The same rows give the same verdicts, however they are cut into batches: of rows, and of numbers of all rows."""

import datetime as dt
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakeloop.quality import Checked, Rule, check_rules, judge_rules

COLUMNS = "id int, k string, z string, n int, x double, at timestamp, _position struct<origin:string,record:bigint>"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DECLARED: list[dict[str, Any]] = [
    {"is_in_range": {"column": "n", "min": 0}},
    {"is_unique": {"columns": ["k"], "horizon": "all", "name": "once"}},
    {"is_unique": {"columns": ["k", "z"], "horizon": "2h", "event_time": "at", "name": "once_in_2h"}},
    {"is_unique": {"columns": ["k"], "horizon": "all", "filter": "z = 'a'", "name": "once_of_a"}},
    {"is_primary_key": {"columns": ["k", "n"], "horizon": "all", "severity": "warn", "name": "key"}},
    {"occurs_at_most": {"columns": ["z"], "times": 2, "horizon": "all", "name": "twice"}},
    {"determines": {"columns": ["k"], "column": "z", "horizon": "all", "name": "k_tells_z"}},
    {"is_increasing": {"column": "n", "by": ["z"], "horizon": "all", "name": "rises"}},
    {"has_no_gaps": {"column": "n", "by": ["k"], "horizon": "all", "name": "no_gap"}},
]
MEASURED: list[dict[str, Any]] = [
    {"row_count": {"min": 4, "horizon": "all"}},
    {"row_count": {"min": 2, "per": "1h", "event_time": "at", "name": "hourly"}},
    {"null_ratio": {"column": "k", "max": 0.2, "horizon": "all"}},
    {"mean": {"column": "x", "min": 0, "max": 2, "horizon": "all"}},
    {"stddev": {"column": "x", "max": 1.5, "horizon": "all"}},
    {"stddev": {"column": "x", "max": 1, "per": "3h", "event_time": "at", "name": "stddev_3h"}},
    {"quantile": {"column": "x", "q": 0.5, "min": 0, "max": 1, "horizon": "all"}},
    {"total": {"column": "n", "min": 0, "max": 3, "horizon": "all"}},
    {"largest": {"column": "x", "max": 3, "horizon": "all"}},
    {"smallest": {"column": "x", "min": -1, "per": "2h", "event_time": "at", "name": "smallest_2h"}},
    {"is_like": {"column": "z", "baseline": {"shares": {"a": 0.5, "b": 0.5}}, "horizon": "all"}},
]
RULES = [Rule.model_validate(each) for each in DECLARED]
MEASURES = [Rule.model_validate(each) for each in MEASURED]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "k1", "k2", ""]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, -1, 0, 1, 2, 4]),
        st.sampled_from([None, float("nan"), -2.5, 0.0, 1.0, 1.0000001, 1e9]),
        st.sampled_from([None, 0, 1, 59, 60, 119, 120, 121, 300]),  # minutes: most come late
    ),
    min_size=1,
    max_size=12,
)


def framed(spark: SparkSession, rows: list[Any]) -> DataFrame:
    """The rows in the order of their arrival, as one file has them."""
    numbered = [
        (i, k, z, n, x, None if minute is None else START + dt.timedelta(minutes=minute), ("f", i))
        for i, (k, z, n, x, minute) in enumerate(rows)
    ]
    return spark.createDataFrame(numbered, COLUMNS).coalesce(1)


def verdicts(judged: DataFrame) -> dict[int, tuple[str, list[str]]]:
    found = judged.select("id", "_verdict", "_reasons").collect()
    return {row["id"]: (row["_verdict"], [r["rule"] for r in row["_reasons"] or []]) for row in found}


@settings(max_examples=5)
@given(rows=ROWS, cuts=st.sets(st.integers(0, 12), max_size=2))
def test_rows_are_judged_alike_in_one_batch_and_in_many(spark: SparkSession, rows: list[Any], cuts: set[int]) -> None:
    whole = framed(spark, rows)
    expected = verdicts(judge_rules(whole, RULES))
    found: dict[int, tuple[str, list[str]]] = {}
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(rows)), len(rows)]
    # What an earlier row counts for is that no row rule refuses it, as the record of a pipeline knows of it.
    sound = whole.where("n IS NULL OR n >= 0")
    for begin, end in pairwise(bounds):
        batch, earlier = whole.where(f"id >= {begin} AND id < {end}"), sound.where(f"id < {begin}")
        found |= verdicts(judge_rules(batch, RULES, earlier=earlier if begin else None))
    assert found == expected
    assert expected == {i: by_hand(rows, i) for i in range(len(rows))}


@settings(max_examples=5)
@given(rows=ROWS, cuts=st.sets(st.integers(0, 12), max_size=2))
def test_numbers_of_all_rows_are_judged_alike_in_one_batch_and_in_many(
    spark: SparkSession, rows: list[Any], cuts: set[int]
) -> None:
    whole = framed(spark, rows)
    expected = check_rules(whole, MEASURES)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(rows)), len(rows)]
    after: Checked | None = None
    last: dict[str, dict[str, Any]] = {rule.name: {} for rule in MEASURES}
    for begin, end in pairwise(bounds):
        after = check_rules(whole.where(f"id >= {begin} AND id < {end}"), MEASURES, after=after)
        for name, numbers in after.states.items():
            last[name] |= numbers
    assert after is not None
    for rule in MEASURES:
        assert set(last[rule.name]) == set(expected.states[rule.name]), rule.name
        for stretch, numbers in expected.states[rule.name].items():
            found = last[rule.name][stretch]
            assert {key for key in found if found[key] is None} == {key for key in numbers if numbers[key] is None}
            known = {key: number for key, number in numbers.items() if number is not None}
            assert {key: found[key] for key in known} == pytest.approx(known, rel=1e-9), rule.name
        if rule.per is None:
            assert after[rule.name].violations == expected[rule.name].violations, rule.name


def by_hand(rows: list[Any], i: int) -> tuple[str, list[str]]:
    """The verdict on one row, said once more in plain Python over the rows before it."""
    k, z, n, _, minute = rows[i]
    refused = [row[2] is not None and row[2] < 0 for row in rows]
    before = [row for row, bad in zip(rows[:i], refused, strict=False) if not bad]
    failed = ["n_is_in_range"] if refused[i] else []
    marked = []
    if not refused[i]:
        failed += ["once"] if k is not None and any(row[0] == k for row in before) else []
        near = [row for row in before if row[4] is not None and minute is not None and abs(row[4] - minute) < 120]
        failed += ["once_in_2h"] if None not in (k, z) and any(row[:2] == (k, z) for row in near) else []
        of_a = k is not None and z == "a" and any(row[0] == k and row[1] == "a" for row in before)
        failed += ["once_of_a"] if of_a else []
        marked += ["key"] if None not in (k, n) and any((row[0], row[2]) == (k, n) for row in before) else []
    marked = ["key"] if None in (k, n) else marked
    failed += marked
    if not refused[i]:
        failed += ["twice"] if z is not None and sum(row[1] == z for row in before) >= 2 else []
        first = next((row[1] for row in before if row[0] == k and row[1] is not None), z)
        failed += ["k_tells_z"] if None not in (k, z) and first != z else []
        largest = [row[2] for row in before if row[1] == z and row[2] is not None]
        failed += ["rises"] if n is not None and largest and n <= max(largest) else []
        largest = [row[2] for row in before if row[0] == k and row[2] is not None]
        failed += ["no_gap"] if n is not None and largest and n > max(largest) + 1 else []
    severe = [name for name in failed if name != "key"]
    return ("quarantined" if severe else "good"), failed
