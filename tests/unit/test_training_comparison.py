"""Paired tests beside scipy's, fronts and choices by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lakeloop.training.algorithms import GridPoint
from lakeloop.training.comparison.comparing import compare
from lakeloop.training.comparison.paired_test import holm, mean_interval, measured_share, paired_test
from lakeloop.training.comparison.pareto import pareto_front
from lakeloop.training.comparison.selection import best_first, selected, within_one_standard_error
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.spec.splits import Folds
from tests.model_files import model_spec

A, B = [0.81, 0.84, 0.79, 0.86, 0.83], [0.80, 0.80, 0.78, 0.85, 0.79]


def spec(**changes: Any) -> ModelSpec:
    return model_spec(**{"split": {"test": 0.2}, "folds": {"count": 5, "seed": 1}} | changes)


def score(
    name: str, *folds: float, numbers: int | None = None, seconds: float | None = None, stopped: bool = False
) -> CandidateScore:
    figures = tuple({"area_under_roc": fold, "log_loss": 1 - fold} for fold in folds)
    return CandidateScore(GridPoint(name, {}, "features"), figures, 1.0, stopped, seconds, numbers)  # type: ignore[arg-type]


def test_without_a_correction_it_is_the_plain_paired_t_test() -> None:
    test, theirs = paired_test(A, B, 0.0), stats.ttest_rel(A, B)
    assert test is not None
    assert test.effect == pytest.approx(0.022)
    assert test.p == pytest.approx(theirs.pvalue)
    assert test.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_the_correction_of_nadeau_and_bengio() -> None:
    test = paired_test(A, B, 0.25)
    # Differences 1, 4, 1, 1, 4 hundredths: mean 2.2, variance 2.7; 2.7 × (1/5 + 1/4) = 1.215, whose root is 1.10227.
    error = 0.0110227
    assert test is not None
    assert test.p == pytest.approx(2 * stats.t.sf(0.022 / error, 4), rel=1e-4)
    low, high = stats.t.interval(0.95, 4, 0.022, error)
    assert test.interval == pytest.approx((low, high), rel=1e-4)


def test_the_interval_of_a_mean_has_the_same_correction() -> None:
    assert mean_interval(A, 0.0) == pytest.approx(stats.t.interval(0.95, 4, np.mean(A), stats.sem(A)))
    narrow, wide = mean_interval(A, 0.0), mean_interval(A, 0.25)
    assert narrow is not None
    assert wide is not None
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx((0.45 / 0.2) ** 0.5)


def test_where_nothing_can_be_said_nothing_is() -> None:
    assert paired_test([0.5], [0.4], 0.25) is None
    assert paired_test([0.5, float("nan")], [0.4, 0.3], 0.25) is None
    same, shifted = paired_test(A, A, 0.25), paired_test([1.5, 2.5], [1.0, 2.0], 0.25)
    assert same is not None
    assert shifted is not None
    assert (same.effect, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)
    assert (shifted.effect, shifted.p) == (0.5, 0.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=9), st.floats(0, 1))
def test_turned_around_the_effect_turns_and_the_doubt_stays(pairs: list[tuple[float, float]], share: float) -> None:
    one, other = zip(*pairs, strict=True)
    forth, back = paired_test(one, other, share), paired_test(other, one, share)
    assert forth is not None
    assert back is not None
    assert (forth.effect, forth.p) == pytest.approx((-back.effect, back.p))
    assert 0 <= forth.p <= 1
    assert forth.interval[0] <= forth.effect <= forth.interval[1]


def test_rows_that_measure_for_each_that_trains() -> None:
    assert measured_share(Folds.model_validate({"count": 5, "seed": 1})) == 0.25
    by_time = Folds.model_validate({"count": 3, "kind": "time", "by": "at", "seed": 1})
    assert measured_share(by_time) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_holm_by_hand() -> None:
    # 3 × 0.01; 2 × 0.04 = 0.08; 1 × 0.03 comes second: 2 × 0.03 = 0.06, then 0.04 is raised to it.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_front_by_hand() -> None:
    costs = [(1, 9), (2, 8), (2, 9), (3, 3), (3, 3), (9, 1), (9, 3)]
    assert pareto_front(costs) == [True, True, False, True, True, True, False]


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12))
def test_every_one_off_the_front_is_beaten_by_one_on_it(costs: list[tuple[int, int, int]]) -> None:
    front = pareto_front(costs)
    on = [cost for cost, is_on in zip(costs, front, strict=True) if is_on]
    assert on
    for cost, is_on in zip(costs, front, strict=True):
        beaten = any(other != cost and all(a <= b for a, b in zip(other, cost, strict=True)) for other in on)
        assert beaten is not is_on


BEST = score("gradient_boosted_trees", 0.80, 0.90, 0.85, 0.85, numbers=900, seconds=0.2)  # 0.85, error 0.0204
NEAR = score("random_forest", 0.83, 0.84, 0.84, 0.83, numbers=300, seconds=0.3)  # 0.835
SMALL = score("logistic_regression", 0.83, 0.83, 0.84, 0.84, numbers=20, seconds=0.1)  # 0.835 as well
FAR = score("decision_tree", 0.82, 0.83, 0.83, 0.83, numbers=5, seconds=0.1)  # 0.8275 < 0.85 - 0.0204
STOPPED = score("decision_tree", 0.99, numbers=1, seconds=0.1, stopped=True)


def test_the_smallest_of_those_as_good_but_for_one_standard_error() -> None:
    ranked = best_first([STOPPED, FAR, SMALL, NEAR, BEST], "area_under_roc")
    assert ranked == (BEST, SMALL, NEAR, FAR, STOPPED)
    # Deviations 5, 5, 0, 0 hundredths: variance 50/3, deviation 4.08, by the root of 4 folds 2.04.
    assert within_one_standard_error(ranked, "area_under_roc") == (BEST, SMALL, NEAR)
    assert selected(spec(select="one_standard_error"), ranked) is SMALL
    assert selected(spec(), ranked) is BEST
    assert selected(spec(select="one_standard_error", select_by="log_loss"), ranked) is SMALL


def test_of_one_size_the_better_and_of_unknown_size_the_last() -> None:
    twin = score("twin", 0.84, 0.84, 0.84, 0.84, numbers=20)
    unknown = score("unknown", 0.84, 0.84, 0.84, 0.84)
    ranked = best_first([unknown, SMALL, twin, BEST], "area_under_roc")
    assert selected(spec(select="one_standard_error"), ranked) is twin
    assert selected(spec(select="one_standard_error"), best_first([unknown, BEST], "area_under_roc")) is BEST


def test_lower_is_better_turns_the_order_and_nan_comes_last() -> None:
    undefined = score("undefined", float("nan"), 0.9, 0.9, 0.9)
    assert best_first([undefined, NEAR, BEST], "log_loss") == (BEST, NEAR, undefined)


def test_a_comparison_says_in_words_what_the_folds_tell() -> None:
    worse = score("worse", 0.50, 0.61, 0.55, 0.55, numbers=950, seconds=0.24)
    compared = compare(spec(folds={"count": 4, "seed": 1}), best_first([worse, STOPPED, NEAR, BEST], "area_under_roc"))
    assert [each.verdict for each in compared.candidates] == [
        "best mean",
        "cannot be told apart from the best",
        "worse than the best",
        "given up after 1 of 4 folds",
    ]
    assert compared.alike == 1
    first, near, last, stopped = compared.candidates
    assert (first.test, first.p, stopped.test, stopped.p, stopped.interval) == (None, None, None, None, None)
    tests = [
        paired_test([f["area_under_roc"] for f in s.folds], [0.80, 0.90, 0.85, 0.85], 1 / 3) for s in (NEAR, worse)
    ]
    assert [near.test, last.test] == tests
    assert [near.p, last.p] == pytest.approx(holm([test.p for test in tests if test]))
    told = compared.to_dict()["candidates"][1]
    assert (told["candidate"], told["p"], told["verdict"]) == ("random_forest()", near.p, near.verdict)
    assert told["difference"]["effect"] == pytest.approx(0.835 - 0.85)
    # Seconds count to one digit, 0.24 being 0.2: the worse one is as fast as the best and larger.
    assert [each.is_on_front for each in compared.candidates] == [True, True, False, False]
    assert [each.is_near for each in compared.candidates] == [True, True, False, False]
