"""What a model file may say of search, choice and nested folds."""

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.training.search.drawing import draw_points
from lakeloop.training.search.searching import most_fits
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

TREES = {"random_forest": {"maxDepth": {"low": 3, "high": 10}, "numTrees": [5, 10]}}
LINES = {"logistic_regression": {"regParam": {"low": 1.0e-4, "high": 1, "log": True}, "fitIntercept": [True, False]}}


def spec(*candidates: dict[str, Any], **changes: Any) -> ModelSpec:
    return model_spec(**{"folds": {"count": 5, "seed": 1}, "candidates": list(candidates)} | changes)


def refusal(*candidates: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        spec(*candidates, **changes)
    return str(refused.value)


def random(trials: int, seed: int = 7) -> dict[str, Any]:
    return {"search": {"kind": "random", "trials": trials, "seed": seed}}


def test_nothing_said_is_a_grid_of_everything_and_the_best_of_it() -> None:
    plain = spec({"logistic_regression": {"regParam": [0.1, 0.2]}})
    assert (plain.search.kind, plain.search.halving, plain.select, plain.folds.nested) == ("grid", False, "best", None)
    assert most_fits(plain) == 2 * 5


@pytest.mark.parametrize(
    ("candidate", "changes", "message"),
    [
        (LINES, {}, "a grid has no end of values in a range (regParam of logistic_regression); list values, or say"),
        (LINES, {"search": {"kind": "grid", "halving": True}}, "a grid has no end of values in a range"),
        ({"logistic_regression": {}}, {"search": {"trials": 3}}, "a grid tries every combination; take trials out or"),
        (LINES, {"search": {"kind": "bayesian", "halving": True}}, "halving is for grid and random"),
        (LINES, {"search": {"kind": "bayes"}}, "'grid', 'random' or 'bayesian'"),
        (LINES, {"search": {"kind": "random", "trails": 3}}, "unknown key 'trails'; did you mean 'trials'?"),
        (LINES, random(0), "greater than or equal to 1"),
        ({"logistic_regression": {}}, {"select": "smallest"}, "'best' or 'one_standard_error'"),
        ({"logistic_regression": {}}, {"folds": {"nested": 1, "seed": 1}}, "greater than or equal to 2"),
        ({"random_forest": {"maxDepth": {"low": 3, "high": 9.5}}}, random(3), "maxDepth is a whole number, found"),
        ({"random_forest": {"impurity": {"low": 3, "high": 9}}}, random(3), "impurity is no number, so it has no"),
        ({"random_forest": {"maxDepth": {"low": 9, "high": 3}}}, random(3), "a range goes up, found low 9 and high 3"),
        ({"logistic_regression": {"regParam": {"low": 0, "high": 1, "log": True}}}, random(3), "begins above 0, found"),
        ({"logistic_regression": {"regParam": {"low": 0, "hihg": 1}}}, random(3), "unknown key 'hihg'"),
        ({"logistic_regression": {"regParam": {"low": 0, "high": True}}}, random(3), "high"),
        ({"logistic_regression": {"regParam": {"low": 0.0, "high": float("inf")}}}, random(3), "a range goes up"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(candidate: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    assert message in refusal(candidate, **changes)


def test_a_random_search_draws_within_its_ranges_and_no_candidate_twice() -> None:
    points = draw_points(spec(TREES, LINES, **random(200)))
    # Of the forest there are only 8 depths times 2 numbers of trees.
    forests = [point for point in points if point.algorithm == "random_forest"]
    lines = [point for point in points if point.algorithm == "logistic_regression"]
    assert (len(points), len(forests)) == (200, 16)
    assert len({str(point) for point in points}) == 200
    assert {point.params["maxDepth"] for point in forests} == set(range(3, 11))
    strengths = [point.params["regParam"] for point in lines]
    assert all(1e-4 <= strength <= 1 and float(f"{strength:.4g}") == strength for strength in strengths)
    # Evenly over orders of magnitude, half lie below the geometric middle, 0.01: of 184 some 92, give or take 7.
    assert 65 < sum(strength < 0.01 for strength in strengths) < 119


def test_draws_depend_on_the_seed_alone() -> None:
    assert draw_points(spec(LINES, **random(5))) == draw_points(spec(LINES, **random(5)))
    assert draw_points(spec(LINES, **random(5))) != draw_points(spec(LINES, **random(5, seed=8)))
    assert draw_points(spec(LINES, **random(9)))[:5] == draw_points(spec(LINES, **random(5)))


def test_whole_limits_of_a_real_number_are_no_whole_numbers() -> None:
    points = draw_points(spec({"logistic_regression": {"elasticNetParam": {"low": 0, "high": 1}}}, **random(20)))
    assert len({point.params["elasticNetParam"] for point in points}) == 20


def test_whole_numbers_over_orders_of_magnitude_reach_both_limits() -> None:
    points = draw_points(spec({"random_forest": {"numTrees": {"low": 1, "high": 8, "log": True}}}, **random(8)))
    assert sorted(point.params["numTrees"] for point in points) == list(range(1, 9))


def test_lists_that_are_short_are_tried_in_full() -> None:
    listed = {"logistic_regression": {"regParam": [0.1, 0.2], "maxIter": [5, 10]}}
    assert draw_points(spec(listed, **random(4))) == spec(listed).points()
    assert len(draw_points(spec(listed, **random(3)))) == 3
    assert most_fits(spec(listed, **random(3))) == 3 * 5


def test_fits_are_foretold() -> None:
    halved = {"search": {"kind": "random", "trials": 30, "halving": True}}
    assert most_fits(spec(LINES, **halved)) == 30 + 15 + 8 * 2 + 4
    assert most_fits(spec(LINES, search={"kind": "bayesian"})) == 30 * 5
