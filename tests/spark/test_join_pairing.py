"""Joins in batches come to what one join over everything does, however rows arrive."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakeloop.ingestion.sources.joins.pairing import Measured, Rows, arrived, joined, measure
from lakeloop.ingestion.sources.joins.watermark import Arrived, Progress, Reach, Span, needed

BATCHES = 3
FAR = 1_000_000  # a time that the clock has not reached


class Row(NamedTuple):
    """A row of either side; those of one number are duplicates."""

    batch: int
    number: int
    key: int | None
    time: int | None


class Given(NamedTuple):
    """A row that a batch gave: the numbers of its left and right row, whether it is late, the partners counted."""

    batch: int
    left: int
    right: int | None
    is_late: bool
    partners: int | None


class World(NamedTuple):
    """Rows of both sides by batch, and how they are joined."""

    left: list[Row]
    right: list[Row]
    reach: Reach
    delay: int
    how: Literal["inner", "left"]


def rows_of_a_side(keys: int) -> st.SearchStrategy[list[Row]]:
    key, time = st.none() | st.integers(1, keys), st.none() | st.integers(0, 40)
    # Time goes on with the batches, with rows far too late among them.
    batch = st.integers(0, BATCHES - 1).flatmap(
        lambda number: st.builds(
            Row, st.just(number), st.integers(0, 1000), key, time.map(lambda at: at and at + number * 12)
        )
    )
    return st.lists(batch, min_size=8, max_size=30)


WORLDS = st.builds(
    World,
    rows_of_a_side(4),
    rows_of_a_side(4),
    st.builds(Reach, st.integers(0, 5), st.integers(0, 8)),
    st.integers(0, 10),
    st.sampled_from(["inner", "left", "left"]),
)


def framed(spark: SparkSession, side: str, rows: Sequence[Row]) -> DataFrame:
    data = [(row.key, row.time, (row.number,)) for row in rows]
    return spark.createDataFrame(data, f"_key_0 int, _time bigint, _{side} struct<{side}_number: int>")


def arrival(rows: Sequence[Row]) -> Arrived:
    times = [row.time for row in rows if row.time is not None]
    newest = max(times, default=None)
    return Arrived(len(rows), min(times, default=None), newest, newest)


def random_side(random: Random) -> list[Row]:
    """Rows of four keys in three batches, some far too late, some that can match nothing, and a duplicate of each."""
    rows = []
    for number in range(40):
        batch, key = random.randrange(3), random.choice([None, 1, 2, 3, 4])
        time = random.choice([None, *(random.randrange(30) + batch * 12 for _ in range(9))])
        rows.append(Row(batch, number, key, time))
    return rows + rows[::10]


def batches(spark: SparkSession, world: World) -> tuple[list[Given], list[Measured], list[Progress]]:
    """What every batch gives, of no more old rows than it is said to need."""
    progress, given, measured, went = Progress(), list[Given](), list[Measured](), list[Progress]()
    delay = dt.timedelta(microseconds=world.delay)
    for number in range(BATCHES):
        new = [[row for row in side if row.batch == number] for side in (world.left, world.right)]
        came = [arrival(rows) for rows in new]
        progress = progress.after(*came, delay, delay)
        spans = needed(world.reach, progress, *came, waits=True, counted=True)
        old = [
            [
                row
                for row in side
                if row.batch < number and any(f <= row.time <= t for f, t in near if row.time is not None)
            ]
            for side, near in zip((world.left, world.right), spans, strict=True)
        ]
        left, right = (
            Rows(framed(spark, side, fresh), framed(spark, side, earlier))
            for side, fresh, earlier in zip(("left", "right"), new, old, strict=True)
        )
        found = joined(left, right, world.reach, progress, how=world.how, counted=True)
        for row in found.select("_left.*", "_right.*", "_up_since", "_partners").collect():
            given.append(Given(number, row[0], row[1], row[2] is not None, row[3]))
        measured.append(measure(left, right, world.reach, progress))
        went.append(progress)
    return given, measured, went


def belong(left: Row, right: Row, reach: Reach) -> bool:
    if None in (left.key, right.key, left.time, right.time) or left.key != right.key:
        return False
    return left.time - reach.before <= right.time <= left.time + reach.after  # type: ignore[operator]


def is_up(row: Row, watermark: int | None, reach: Reach) -> bool:
    if row.key is None or row.time is None:
        return True
    return watermark is not None and row.time + reach.after < watermark


@pytest.mark.parametrize("how", ["inner", "left"])
def test_batches_come_to_what_one_join_does(spark: SparkSession, how: Literal["inner", "left"]) -> None:
    random = Random(118)  # with late pairs and with rows whose time ends at a watermark
    require_law(spark, World(random_side(random), random_side(random), Reach(2, 6), 3, how))


@pytest.mark.slow
@given(WORLDS)
@settings(max_examples=10)
def test_batches_come_to_what_one_join_does_however_rows_arrive(spark: SparkSession, world: World) -> None:
    require_law(spark, world)


def require_law(spark: SparkSession, world: World) -> None:
    given, measured, went = batches(spark, world)
    at_once = [(one, other) for one in world.left for other in world.right if belong(one, other, world.reach)]

    # Every pair once, in the batch that completes it; late where its left row had been given out for good.
    watermarks = [None, *(progress.watermark for progress in went)]
    pairs = Counter((row.batch, row.left, row.right, row.is_late) for row in given if row.right is not None)
    expected = Counter(
        (
            batch := max(one.batch, other.batch),
            one.number,
            other.number,
            world.how == "left" and one.batch < batch and is_up(one, watermarks[batch], world.reach),
        )
        for one, other in at_once
    )
    assert pairs == expected

    # Of a left join every row without a pair in time comes once, in the batch in which its time is up.
    alone = Counter((row.batch, row.left) for row in given if row.right is None)
    if world.how == "inner":
        assert not alone
    else:
        said = Counter[tuple[int, int]]()
        for one in world.left:
            ends = [n for n in range(one.batch, BATCHES) if is_up(one, watermarks[n + 1], world.reach)]
            if ends and not any(belong(one, other, world.reach) and other.batch <= ends[0] for other in world.right):
                said[ends[0], one.number] += 1
        assert alone == said

    # Counted are the partners so far; measured are the rows whose time is up.
    for batch in range(BATCHES):
        seen = [other for other in world.right if other.batch <= batch]
        of_row = {
            index: sum(belong(one, other, world.reach) for other in seen)
            for index, one in enumerate(world.left)
            if one.batch <= batch
        }
        counted = Counter((row.left, row.partners) for row in given if row.batch == batch and row.right is not None)
        possible = {(world.left[index].number, n) for index, n in of_row.items()}
        assert set(counted) <= possible
        up = [
            n
            for index, n in of_row.items()
            if is_up(world.left[index], watermarks[batch + 1], world.reach)
            and (world.left[index].batch == batch or not is_up(world.left[index], watermarks[batch], world.reach))
        ]
        assert measured[batch] == Measured(len(up), sum(n > 0 for n in up), max(up, default=0))


def test_what_came_is_told_by_its_times(spark: SparkSession) -> None:
    rows = [Row(0, 1, 1, 5), Row(0, 1, 1, 5), Row(0, 2, None, 9), Row(0, 3, 1, None), Row(0, 4, 1, FAR)]
    found = arrived(framed(spark, "left", rows), FAR - 1)
    assert (found.rows, found.span, found.newest) == (5, Span(5, FAR), 9)
    assert arrived(framed(spark, "left", []), FAR).span is None
