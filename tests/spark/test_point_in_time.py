from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.point_in_time import join_as_of

LABELS = "id string, asked_at timestamp, churn string"
FEATURES = "id string, known_at timestamp, visits int, plan string"
START = datetime.fromisoformat("2024-01-01")


def at(day: float) -> datetime:
    return START + timedelta(days=day)


@pytest.fixture(scope="module")
def labels(spark: SparkSession) -> DataFrame:
    rows = [
        ("a", at(10), "Yes"),
        ("a", at(10), "Yes"),
        ("a", at(9.5), "No"),
        ("a", at(0), "No"),
        ("b", at(10), "No"),
        ("c", at(10), "No"),
        (None, at(10), "No"),
        ("a", None, "No"),
    ]
    return spark.createDataFrame(rows, LABELS)


@pytest.fixture(scope="module")
def features(spark: SparkSession) -> DataFrame:
    rows = [
        ("a", at(1), 1, "x"),
        ("a", at(10), 2, None),
        ("a", at(10), 2, "y"),
        ("a", at(10), None, "z"),
        ("a", at(10.5), 3, "late"),
        ("b", at(3), 4, None),
        (None, at(1), 5, "nobody"),
        ("c", None, 6, "no time"),
    ]
    return spark.createDataFrame(rows, FEATURES)


def test_the_newest_row_that_is_not_later_is_taken_and_no_label_is_lost(labels: DataFrame, features: DataFrame) -> None:
    joined = join_as_of(labels, features, "id", "asked_at", "known_at")
    assert joined.columns == ["id", "asked_at", "churn", "known_at", "visits", "plan"]
    found = sorted((tuple(row) for row in joined.collect()), key=str)
    assert found == sorted(
        [
            ("a", at(10), "Yes", at(10), 2, "y"),  # of three at that time the greatest, NULL being the least
            ("a", at(10), "Yes", at(10), 2, "y"),
            ("a", at(9.5), "No", at(1), 1, "x"),
            ("a", at(0), "No", None, None, None),
            ("b", at(10), "No", at(3), 4, None),
            ("c", at(10), "No", None, None, None),
            (None, at(10), "No", None, None, None),
            ("a", None, "No", None, None, None),
        ],
        key=str,
    )


def test_a_row_as_old_as_the_tolerance_is_too_old(labels: DataFrame, features: DataFrame) -> None:
    def known(tolerance: timedelta) -> list[Any]:
        joined = join_as_of(labels, features, "id", "asked_at", "known_at", tolerance)
        return joined.where("id = 'b'").select("known_at", "visits").collect()[0][:]

    assert known(timedelta(days=7, microseconds=1)) == (at(3), 4)
    assert known(timedelta(days=7)) == (None, None)


def test_both_tables_are_shuffled_once(labels: DataFrame, features: DataFrame) -> None:
    joined = join_as_of(labels, features, "id", "asked_at", "known_at", timedelta(days=1))
    plan = joined._jdf.queryExecution().executedPlan().toString()
    assert plan.count("Exchange") == 1


def test_a_day_is_its_midnight(spark: SparkSession, labels: DataFrame) -> None:
    days = spark.sql("SELECT 'a' AS id, DATE'2024-01-10' AS day, 7 AS visits UNION ALL SELECT 'a', DATE'2024-01-11', 8")
    joined = join_as_of(labels, days, "id", "asked_at", "day").where("id = 'a'")
    assert {(row["asked_at"], row["visits"]) for row in joined.collect()} == {
        (at(10), 8),
        (at(9.5), 7),
        (at(0), None),
        (None, None),
    }


moments = st.integers(0, 4)
keys = st.sampled_from(["a", "b", None])


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.tuples(keys, st.none() | moments), max_size=9),
    known=st.lists(st.tuples(keys, st.none() | moments, st.none() | st.integers(0, 2)), max_size=16),
    tolerance=st.none() | st.integers(1, 3),
)
def test_it_is_what_a_loop_over_all_rows_finds(
    spark: SparkSession, asked: list[Any], known: list[Any], tolerance: int | None
) -> None:
    def day(number: int | None) -> datetime | None:
        return None if number is None else at(number)

    labels = spark.createDataFrame(
        [(key, day(time), n) for n, (key, time) in enumerate(asked)], "k string, t timestamp, n int"
    )
    features = spark.createDataFrame(
        [(key, day(time), value) for key, time, value in known], "k string, f timestamp, v int"
    )
    expected = []
    for n, (key, time) in enumerate(asked):
        valid = [
            (when, -1 if value is None else value)
            for whose, when, value in known
            if None not in (key, time, when) and whose == key and when <= time
        ]
        newest = max(valid, default=None)
        if newest is None or (tolerance is not None and time - newest[0] >= tolerance):
            expected.append((n, None, None))
        else:
            expected.append((n, at(newest[0]), None if newest[1] == -1 else newest[1]))
    joined = join_as_of(labels, features, "k", "t", "f", None if tolerance is None else timedelta(days=tolerance))
    assert sorted(tuple(row) for row in joined.select("n", "f", "v").collect()) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("id, known_at AS seen_at, visits", "features have no column 'known_at'"),
        ("'x' AS id, known_at, 1 AS churn", "churn stand in labels and in features; rename them in one"),
        ("1 AS id, known_at", "key 'id' is string in labels and int in features; cast one"),
        ("id, visits AS known_at", "'known_at' of features is int; cast it to a date or a timestamp"),
        ("id, known_at, map(1, 2) AS counts", "counts of features are maps"),
    ],
)
def test_tables_that_do_not_fit_are_refused(labels: DataFrame, features: DataFrame, change: str, message: str) -> None:
    with pytest.raises(TrainingError, match=f"join_as_of: {message}"):
        join_as_of(
            labels,
            features.selectExpr(*change.split(", ", 2) if "map" in change else change.split(", ")),
            "id",
            "asked_at",
            "known_at",
        )
