"""Learned bands: what a past allows to say, and what it does not."""

import datetime as dt
import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.bench_anomalies import alarms, learned, score, three_sigma
from benchmarks.seeded_faults import TABLES, measured
from lakeloop.quality.anomalies import LEAST, Band, Point, Scale, Series, band_of, learned_from, still_learning

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)


def daily(values: list[float], **said: object) -> list[Point]:
    return [Point(MONDAY + number * DAY, value, **said) for number, value in enumerate(values)]


def band(values: list[float], scale: Scale = "number", **said: object) -> Band:
    found = band_of(daily(values), MONDAY + len(values) * DAY, scale, **said)
    assert found is not None
    return found


def test_nothing_is_judged_before_enough_is_known_and_it_is_said_what_is_missing() -> None:
    five = daily([1, 2, 3, 4, 5])
    assert band_of(five, MONDAY + 5 * DAY) is None
    assert still_learning(five, MONDAY + 5 * DAY) == "learning: 5 of 14 batches"
    assert band_of(five, MONDAY + 7 * DAY, least=5) is not None
    assert band_of(daily([1.0] * LEAST), MONDAY + LEAST * DAY) is not None


def test_five_working_days_say_nothing_of_a_saturday() -> None:
    hours = [Point(MONDAY + number * HOUR, 1000.0) for number in range(5 * 24)]
    saturday = MONDAY + 5 * DAY
    assert still_learning(hours, saturday) == "learning: no Saturday yet"
    # Its first hours do not teach what its others are either.
    hours.append(Point(saturday, 200.0))
    assert band_of(hours, saturday + HOUR, "count") is None


@pytest.mark.parametrize(("scale", "value"), [("count", 1000.0), ("share", 0.25), ("share", 0.0), ("number", -3.5)])
def test_a_constant_past_expects_the_same_and_only_the_same(scale: Scale, value: float) -> None:
    found = band([value] * 30, scale, rows=10_000 if scale == "share" else None)
    assert found.holds(value)
    assert not found.holds(value * 2 + 1)


def test_a_count_may_change_by_a_tenth_and_a_share_by_half_a_point_whatever_the_past_says() -> None:
    assert band([1000.0] * 30, "count").holds(1090)
    assert not band([1000.0] * 30, "count").holds(1200)
    assert band([0.2] * 30, "share").holds(0.2045)
    assert not band([0.2] * 30, "share").holds(0.21)


def test_the_luck_of_few_rows_is_no_anomaly() -> None:
    # 3 of 20 rows instead of 1 of 20 is luck, of 20,000 rows it is not.
    assert band([0.05] * 30, "share", rows=20).holds(0.15)
    assert not band([0.05] * 30, "share", rows=20_000).holds(0.15)


def test_weekends_are_learned_once_there_were_four() -> None:
    dice = random.Random(1)
    weeks = [(300 if number % 7 >= 5 else 1000) * math.exp(dice.gauss(0, 0.05)) for number in range(35)]
    on_saturday = band_of(daily(weeks), MONDAY + 40 * DAY, "count")
    on_monday = band_of(daily(weeks), MONDAY + 35 * DAY, "count")
    assert on_saturday is not None
    assert on_monday is not None
    assert on_saturday.holds(310)
    assert not on_saturday.holds(1000)
    assert on_monday.holds(980)
    assert not on_monday.holds(310)


def test_a_trend_is_allowed_for() -> None:
    dice = random.Random(2)
    growing = [1000 * 1.02**number * math.exp(dice.gauss(0, 0.03)) for number in range(60)]
    assert band(growing, "count").expected == pytest.approx(1000 * 1.02**60, rel=0.08)


def test_a_marked_batch_and_one_outside_of_its_band_teach_nothing() -> None:
    points = daily([10.0] * 20)
    points[3] = points[3]._replace(value=99, is_marked=True)
    points[5] = points[5]._replace(value=99, low=9, high=11)
    points[7] = points[7]._replace(value=math.nan)
    assert learned_from(Series.of(points)).values.tolist() == [10.0] * 17


def test_what_lasts_is_usual_after_fourteen_batches() -> None:
    before = daily([10.0 + number % 2 for number in range(30)])
    after = [
        Point(MONDAY + (30 + number) * DAY, 50.0 + number % 2, low=5, high=15, is_marked=True) for number in range(14)
    ]
    at = MONDAY + 44 * DAY
    still = band_of([*before, *after[:13]], at)
    now = band_of([*before, *after], at)
    assert still is not None
    assert not still.holds(50)
    assert now is not None
    assert now.holds(50)
    assert not now.holds(10)
    assert now.learned_from == 14


def test_numbers_that_are_not_finite_are_never_expected() -> None:
    assert not band([1.0, 2.0] * 10).holds(math.nan)
    assert band([1.0, 2.0] * 10).score(math.inf) == math.inf


numbers = st.lists(st.floats(-1000, 1000), min_size=LEAST, max_size=80)


@given(numbers, st.sampled_from([0.001, 0.5, 3.0, 1e6]), st.floats(-1e4, 1e4))
def test_bands_move_and_stretch_with_the_numbers(values: list[float], factor: float, shift: float) -> None:
    plain = band(values)
    spread = max(values) - min(values)
    assume(spread > 1e-3)  # else only rounding is seen
    moved = band([value * factor + shift for value in values])
    near = pytest.approx
    tolerance = 1e-6 * (abs(shift) + spread * factor + 1000 * factor)
    assume(abs(plain.high - plain.low) > 1e-6)
    assert moved.low == near(plain.low * factor + shift, rel=1e-4, abs=tolerance)
    assert moved.high == near(plain.high * factor + shift, rel=1e-4, abs=tolerance)


@given(st.lists(st.floats(0, 1e9), min_size=LEAST, max_size=60), st.sampled_from(["count", "share", "number"]))
def test_a_band_is_finite_and_has_what_it_expects_inside(values: list[float], scale: Scale) -> None:
    given_values = [value / 1e9 for value in values] if scale == "share" else values
    found = band(given_values, scale)
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
    assert found.low <= found.expected * (1 + 1e-9) + 1e-9
    assert found.expected <= found.high * (1 + 1e-9) + 1e-9
    if scale != "number":
        assert found.low >= 0
    if scale == "share":
        assert found.high <= 1


@given(numbers, st.floats(-1000, 1000))
def test_one_wild_batch_hardly_moves_the_band(values: list[float], wild: float) -> None:
    calm = [100 + value / 1000 for value in values] * 2
    first = band(calm)
    second = band([*calm[:-1], wild * 1e6])
    assert abs(first.expected - second.expected) < 3


@pytest.mark.parametrize("seed", [11, 12])
def test_seeded_faults_are_found_and_little_else(seed: int) -> None:
    """A year of three daily tables. Thresholds were chosen on seed 0."""
    scores, plain = [], []
    for table in TABLES[:3]:
        batches = list(measured(table, seed))
        scores.append(score(table, batches, alarms(batches, learned), seed))
        plain.append(score(table, batches, alarms(batches, three_sigma), seed))
    incidents, right = sum(one.incidents for one in scores), sum(one.right for one in scores)
    found, faults = sum(one.found for one in scores), sum(one.faults for one in scores)
    assert faults == 54
    assert right / incidents >= 0.9
    assert found / faults >= 0.8
    assert right / incidents > sum(one.right for one in plain) / sum(one.incidents for one in plain)
