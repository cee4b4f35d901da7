"""Measures without Spark: bounds, parts that add up, and the verdicts of quantiles and distributions."""

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakeloop.quality.measured_rules import DISTANCES, quantile_verdict
from lakeloop.quality.measures import (
    Bounds,
    Measure,
    Part,
    Verdict,
    share_of,
    shown,
    stddev_of,
    together,
)

NOT_A_COLUMN: Any = None  # what only Spark reads


@pytest.mark.parametrize(
    ("bounds", "value", "violation"),
    [
        (Bounds(0, 10), 0, None),
        (Bounds(0, 10), 10, None),
        (Bounds(0, 10), 11, "x: found 11, expected from 0 to 10"),
        (Bounds(0, 10), -0.5, "x: found -0.5, expected from 0 to 10"),
        (Bounds(min=1), 1, None),
        (Bounds(min=1), 0, "x: found 0, expected at least 1"),
        (Bounds(min=1), math.inf, None),
        (Bounds(max=0.25), 0.25, None),
        (Bounds(max=0.25), 1 / 3, "x: found 0.333333, expected at most 0.25"),
        (Bounds(max=2_000_000), 2_000_001, "x: found 2,000,001, expected at most 2,000,000"),
        (Bounds(max=1e6), 1_000_000.5, "x: found 1,000,000.5, expected at most 1,000,000"),
        (Bounds(0, 10), math.nan, "x: found nan, expected from 0 to 10"),
        (Bounds(), math.nan, "x: found nan, expected a number"),
        (Bounds(), -1e300, None),
    ],
)
def test_bounds_include_their_ends_and_nan_is_outside(bounds: Bounds, value: float, violation: str | None) -> None:
    found = bounds.verdict("x", value)
    assert found.violation == violation
    assert found.value == value or math.isnan(value)


def test_no_number_violates_no_bounds() -> None:
    assert Bounds(1, 2).verdict("x", None) == Verdict(None, None)


def test_numbers_as_a_person_reads_them() -> None:
    numbers = [0, -1, 1234567, 0.1, 1 / 3, 1234.5678, 1_000_000.25, -2_500_000.0, 1e15, 1e-9, math.inf, -math.inf]
    assert [shown(number) for number in numbers] == [
        *("0", "-1", "1,234,567", "0.1", "0.333333", "1234.57", "1,000,000.25", "-2,500,000", "1e+15", "1e-09"),
        *("inf", "-inf"),
    ]


def spread(numbers: Sequence[float]) -> dict[str, Any]:
    """What `spread_parts` gives of numbers."""
    if not numbers:
        return {"n": 0, "mean": None, "around": None}
    mean = statistics.fmean(numbers)
    return {"n": len(numbers), "mean": mean, "around": math.fsum((number - mean) ** 2 for number in numbers)}


SOME = st.lists(st.integers(-1_000_000, 1_000_000).map(lambda n: n / 1000), max_size=30)


@given(one=SOME, other=SOME, offset=st.sampled_from([0.0, 1.7e9, -1.7e9, 1e12]))
def test_together_is_what_all_rows_in_one_give(one: list[float], other: list[float], offset: float) -> None:
    one, other = [offset + x for x in one], [offset + x for x in other]
    found, expected = together(spread(one), spread(other)), spread([*one, *other])
    assert found["n"] == expected["n"]
    if not found["n"]:
        assert found == expected
        return
    assert found["mean"] == pytest.approx(expected["mean"], rel=1e-9, abs=1e-9)
    # No mean is known better than to a rounding of the numbers, and each row differs from it by the range at most.
    rounding = 2 * found["n"] * math.ulp(offset) * (max([*one, *other]) - min([*one, *other]))
    assert found["around"] == pytest.approx(expected["around"], rel=1e-9, abs=1e-9 + rounding)


def test_a_small_spread_far_from_zero_is_not_cancelled() -> None:
    """Epoch seconds a second apart: by sums of squares the variance would be lost in 2.9e18."""
    found = together(spread([1.7e9, 1.7e9 + 1]), spread([1.7e9 + 2, 1.7e9 + 3]))
    assert found == {"n": 4, "mean": 1.7e9 + 1.5, "around": 5.0}
    assert stddev_of(found) == pytest.approx(math.sqrt(5 / 3), rel=1e-12)


def test_a_standard_deviation_is_of_a_sample_and_needs_two_rows() -> None:
    assert stddev_of(spread([])) is None
    assert stddev_of(spread([7.0])) is None
    assert stddev_of(spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])) == pytest.approx(math.sqrt(32 / 7))


def test_a_share_of_nothing_is_none() -> None:
    assert share_of({"n": 0, "part": 0}, "part") is None
    assert share_of({"n": 4, "part": 1}, "part") == 0.25


def measure(how: Mapping[str, Any]) -> Measure:
    return Measure({name: Part(NOT_A_COLUMN, each) for name, each in how.items()}, lambda _: Verdict())


THREE = measure({"n": "sum", "low": "min", "high": "max"})
NUMBERS = st.fixed_dictionaries({
    "n": st.none() | st.integers(0, 9), "low": st.none() | st.integers(), "high": st.none() | st.integers()
})  # fmt: skip


@given(one=NUMBERS, two=NUMBERS, three=NUMBERS)
def test_combined_is_associative_and_free_of_order(one: Any, two: Any, three: Any) -> None:
    assert THREE.combined(one, two) == THREE.combined(two, one)
    assert THREE.combined(THREE.combined(one, two), three) == THREE.combined(one, THREE.combined(two, three))


@given(cuts=st.lists(SOME, min_size=1, max_size=5), seed=st.randoms())
def test_numbers_do_not_depend_on_the_cuts_or_their_order(cuts: list[list[float]], seed: Any) -> None:
    spreads = Measure({}, lambda _: Verdict(), together)
    shuffled = seed.sample(cuts, len(cuts))
    found = reduce(spreads.combined, [spread(each) for each in shuffled])
    expected = spread(reduce(list.__add__, cuts, []))
    assert found["n"] == expected["n"]
    if found["n"]:
        assert found["mean"] == pytest.approx(expected["mean"], rel=1e-9, abs=1e-9)
        assert found["around"] == pytest.approx(expected["around"], rel=1e-9, abs=1e-6)


def test_null_does_not_count_when_numbers_are_combined() -> None:
    nothing, something = {"n": None, "low": None, "high": None}, {"n": 2, "low": -1, "high": 5}
    assert THREE.combined(nothing, something) == something
    assert THREE.combined(something, nothing) == something
    assert THREE.combined(something, {"n": 3, "low": 0, "high": None}) == {"n": 5, "low": -1, "high": 5}


def test_only_what_can_be_combined_adds_up() -> None:
    assert THREE.adds_up
    assert Measure({}, lambda _: Verdict()).adds_up
    assert not measure({"n": "sum", "distinct": None}).adds_up
    assert Measure({"mean": Part(NOT_A_COLUMN, None)}, lambda _: Verdict(), together).adds_up


@pytest.mark.parametrize(
    ("distance", "found", "expected", "figure"),
    [
        ("psi", [0.5, 0.5], [0.5, 0.5], 0.0),
        # (0.6 - 0.5) ln 1.2 + (0.4 - 0.5) ln 0.8 = 0.1 × 0.182322 + 0.1 × 0.223144
        ("psi", [0.6, 0.4], [0.5, 0.5], 0.0405465),
        # Nothing counts as half of 100 rows: (0.005 - 0.5) ln 0.01 + (1 - 0.5) ln 2 = 2.279559 + 0.346574
        ("psi", [0.0, 1.0], [0.5, 0.5], 2.6261330),
        # A bin that neither has does not count: as if it were not there.
        ("psi", [0.6, 0.4, 0.0], [0.5, 0.5, 0.0], 0.0405465),
        # What was never seen before: (0.1 - 0.005) ln 20 + (0.9 - 1) ln 0.9 = 0.284594 + 0.010536
        ("psi", [0.9, 0.1], [1.0, 0.0], 0.2951300),
        # cumulated 0.1 against 0.25, 0.4 against 0.5, 0.9 against 0.75
        ("ks", [0.1, 0.3, 0.5, 0.1], [0.25, 0.25, 0.25, 0.25], 0.15),
        ("ks", [0.25, 0.75], [0.25, 0.75], 0.0),
        ("ks", [0.0, 1.0], [1.0, 0.0], 1.0),
        # half of 0.15 and 0.05 and 0.25 and 0.15
        ("variation", [0.1, 0.3, 0.5, 0.1], [0.25, 0.25, 0.25, 0.25], 0.3),
        ("variation", [0.0, 1.0], [1.0, 0.0], 1.0),
    ],
)
def test_distances_against_figures_worked_out_by_hand(
    distance: str, found: list[float], expected: list[float], figure: float
) -> None:
    assert DISTANCES[distance](found, expected, 0.005) == pytest.approx(figure, abs=1e-6)


SHARES = st.lists(st.integers(0, 20), min_size=2, max_size=6).filter(any)


@given(data=st.data(), found=SHARES)
def test_distances_are_never_negative_and_nothing_for_the_same(data: st.DataObject, found: list[int]) -> None:
    same = st.lists(st.integers(0, 20), min_size=len(found), max_size=len(found)).filter(any)
    other = data.draw(same)
    p, q = [each / sum(found) for each in found], [each / sum(other) for each in other]
    for distance in DISTANCES.values():
        assert distance(p, q, 0.01) >= -1e-12
        assert distance(p, p, 0.01) == pytest.approx(0)
        assert distance(p, q, 0.01) == pytest.approx(distance([*p, 0.0], [*q, 0.0], 0.01))
    assert DISTANCES["ks"](p, q, 0.01) <= DISTANCES["variation"](p, q, 0.01) + 1e-12 <= 1 + 1e-9


def by_definition(numbers: Sequence[float], q: float) -> float:
    """The smallest number of which a share q is not greater."""
    ordered = sorted(numbers)
    return next(x for at, x in enumerate(ordered, 1) if at / len(ordered) >= q)


@example(numbers=[1.0, 2.0], q=0.0, low=1.0, high=None)
@example(numbers=[1.0, 2.0], q=0.0, low=None, high=0.5)
@example(numbers=[1.0, 2.0], q=0.5, low=2.0, high=None)
@example(numbers=[1.0, 2.0], q=0.5, low=None, high=1.0)
@given(
    numbers=st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=20),
    q=st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.95, 1.0]),
    low=st.none() | st.integers(-6, 6).map(float),
    high=st.none() | st.integers(-6, 6).map(float),
)
def test_a_quantile_is_judged_as_the_sorted_numbers_say(
    numbers: list[float], q: float, low: float | None, high: float | None
) -> None:
    found = {
        "n": len(numbers),
        "below": sum(low is not None and x < low for x in numbers),
        "upto": sum(high is None or x <= high for x in numbers),
    }
    quantile = by_definition(numbers, q)
    is_within = (low is None or quantile >= low) and (high is None or quantile <= high)
    assert (quantile_verdict("x", q, low, high, found).violation is None) == is_within


def test_a_quantile_says_which_share_is_on_the_wrong_side() -> None:
    found = {"n": 8, "below": 4, "upto": 6}
    assert quantile_verdict("x", 0.5, 3, 9, found) == Verdict(
        0.5, "0.5 quantile of x: 50.00% of the numbers are below 3, expected less than 50.00%"
    )
    assert quantile_verdict("x", 0.95, None, 9, found) == Verdict(
        0.25, "0.95 quantile of x: 25.00% of the numbers are above 9, expected at most 5.00%"
    )
    assert quantile_verdict("x", 0.5, None, 9, {"n": 0, "below": 0, "upto": 0}) == Verdict()
