import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.folds.time_blocks import assign_time_blocks, split_by_time, values_at

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def test_blocks_follow_time_and_have_the_same_number_of_rows(spark: SparkSession) -> None:
    times = [START + dt.timedelta(days=i * i, microseconds=i) for i in range(11)]
    frame = spark.createDataFrame([(i, time) for i, time in enumerate(times)] + [(11, None)], "id int, at timestamp")
    found = {row.id: row.block for row in assign_time_blocks(frame.repartition(4), "at", 4).collect()}
    # Eleven times in four blocks: they begin at ranks 3, 6 and 9.
    assert found == dict(enumerate([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, None]))


def test_rows_of_one_time_are_never_parted(spark: SparkSession) -> None:
    days = [1, 2, 2, 2, 3, 4]
    frame = spark.createDataFrame([(i, dt.date(2024, 1, day)) for i, day in enumerate(days)], "id int, day date")
    found = {row.id: row.block for row in assign_time_blocks(frame, "day", 2).collect()}
    assert found == dict(enumerate([0, 0 + 1, 1, 1, 1, 1]))  # the block begins at rank 3, which is a 2nd of January


def test_the_last_rows_are_held_out_and_one_without_a_time_trains(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, 10), (2, 30), (3, 20), (4, 30), (5, None), (5, 10)], "id int, week long")
    train, test = split_by_time(frame, "week", 0.3)  # 1.5 of five rows with a time: two
    assert sorted(row.id for row in test.collect()) == [2, 4]
    assert sorted(row.id for row in train.collect()) == [1, 3, 5, 5]


def test_what_has_no_order_in_time_is_refused(spark: SparkSession) -> None:
    with pytest.raises(TrainingError, match="column 'at' is string, which has no order in time; cast it to a date"):
        assign_time_blocks(spark.createDataFrame([("x",)], "at string"), "at", 2)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=30), st.data())
def test_values_at_ranks_are_those_of_a_sorted_list(
    spark: SparkSession, values: list[int], data: st.DataObject
) -> None:
    ranks = sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=4)))
    frame = spark.createDataFrame([(value,) for value in values], "v long")
    assert values_at(frame, F.col("v"), ranks) == [sorted(values)[rank] for rank in ranks]
