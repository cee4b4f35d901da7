"""What a model file may say about algorithms, balance, decisions and slices, and what it is told where it may not."""

import sys
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.training.estimators import xgboost
from lakeloop.training.metrics.yardstick import Costs, Yardstick
from lakeloop.training.search.drawing import draw_points
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_file

COSTS = {"false_positive": 1, "false_negative": 5}
REGRESSION = {"label": {"column": "price", "task": "regression"}, "candidates": [{"linear_regression": {}}]}


def declared(**changes: Any) -> dict[str, Any]:
    features = {"numeric": ["age"], "categorical": ["plan"], "pca": {"components": 2}}
    return model_file(**{"features": features} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decision": {"threshold": 1.5}}, "a threshold is a number between 0 and 1, by_cost or best_f1"),
        ({"decision": {"threshold": 0}}, "a threshold is a number between 0 and 1, by_cost or best_f1"),
        ({"decision": {"threshold": "by_cots"}}, "a threshold is a number between 0 and 1, by_cost or best_f1"),
        ({"decision": {"threshold": 0.12345}}, "a threshold has four decimals at most"),
        ({"decision": {"threshold": "by_cost"}}, "threshold by_cost needs costs"),
        ({"decision": {"costs": COSTS | {"false_negative": -5}}}, "greater than or equal to 0"),
        ({"decision": {"costs": {"false_positive": 0, "false_negative": 0}}}, "both costs are 0"),
        ({"decision": {"costs": {"false_positive": 1}}}, "Field required"),
        ({"decision": {"calibrate": "sigmoid"}}, "'isotonic' or 'platt'"),
        ({"decision": {"treshold": 0.5}}, "did you mean 'threshold'?"),
        (REGRESSION | {"decision": {"threshold": 0.5}}, "a regression has no classes; take decision out"),
        (
            REGRESSION | {"candidates": [{"random_forest": {}, "balance": "weights"}]},
            "a regression has no classes; take balance of random_forest out",
        ),
        (
            {"candidates": [{"random_forest": {}, "learn": "log"}]},
            "a class has no logarithm; take learn of random_forest out",
        ),
        (REGRESSION | {"candidates": [{"random_forest": {}, "learn": "sqrt"}]}, "Input should be 'log'"),
        ({"candidates": [{"boosted_forests": {}}]}, "boosted_forests is not for task binary"),
        ({"select_by": "cost"}, "select_by cost needs decision.costs"),
        ({"select_by": "f2"}, "'f_beta', 'mcc', 'lift'"),
        ({"metrics": {"beta": 0}}, "greater than 0"),
        ({"metrics": {"top": 1}}, "less than 1"),
        ({"slices": ["plan", "age", "plan"]}, "slices stand twice: plan"),
        ({"slices": ["churn"]}, "churn is the label"),
    ],
)
def test_a_wrong_decision_metric_or_slice_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelSpec.model_validate(declared(**changes))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ({"linear_svm": {}}, "linear_svm gives no probability before calibration; say decision: {calibrate: platt}"),
        ({"linear_svm": {"regParm": [1]}}, "'regParm'; did you mean 'regParam'?"),
        ({"linear_svm": {"threshold": [0.1]}}, "unknown parameter of linear_svm 'threshold'"),
        ({"naive_bayes": {"modelType": ["gaussian", "bernoulli"]}}, "modelType bernoulli wants 0 and 1: text alone"),
        (
            {"naive_bayes": {"modelType": ["multinominal"]}},
            "unknown modelType of naive_bayes 'multinominal'; did you mean",
        ),
        ({"multilayer_perceptron": {}}, "such as `hidden: [[8, 4]]`"),
        ({"multilayer_perceptron": {"hidden": [8]}}, "hidden: Could not convert 8 to list of ints"),
        ({"multilayer_perceptron": {"hidden": [[8, 0]]}}, "a layer has one unit at least"),
        ({"multilayer_perceptron": {"layers": [[3, 2]]}}, "unknown parameter of multilayer_perceptron 'layers'"),
        (
            {"multilayer_perceptron": {"hidden": [[3]]}, "balance": "weights"},
            "multilayer_perceptron takes no weights; say balance: oversample or undersample",
        ),
        ({"random_forest": {}, "balance": "smote"}, "'weights', 'oversample' or 'undersample'"),
        ({"random_forest": {"maxDepth": [[3, 4]]}}, "maxDepth: Could not convert"),
    ],
)
def test_a_wrong_candidate_says_what_is_allowed(candidate: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelSpec.model_validate(declared(candidates=[candidate]))
    assert message in str(refused.value)


def test_a_margin_cannot_be_compared_as_a_probability() -> None:
    changes = {"candidates": [{"linear_svm": {}}], "decision": {"calibrate": "platt"}}
    assert ModelSpec.model_validate(declared(**changes)).decision is not None
    with pytest.raises(ValidationError, match="select_by brier compares probabilities before calibration"):
        ModelSpec.model_validate(declared(**changes, select_by="brier"))


def test_a_grid_of_hidden_layers_and_balance_are_part_of_a_candidate() -> None:
    candidates = [
        {"multilayer_perceptron": {"hidden": [[8, 4], []], "maxIter": [50]}},
        {"logistic_regression": {}, "on": "pca", "balance": "undersample"},
    ]
    spec = ModelSpec.model_validate(declared(candidates=candidates, decision={"calibrate": "platt", "threshold": 0.2}))
    assert ModelSpec.model_validate(spec.model_dump(mode="json")) == spec  # as the registry keeps it
    assert [str(point) for point in spec.points()] == [
        "multilayer_perceptron(hidden=(8, 4), maxIter=50)",
        "multilayer_perceptron(hidden=(), maxIter=50)",
        "logistic_regression() on pca, balanced by undersample",
    ]


def test_what_is_learned_is_part_of_a_candidate_listed_or_drawn() -> None:
    candidate = {"boosted_forests": {"maxIter": [5, 5], "numTrees": [2]}, "learn": "log"}
    spec = ModelSpec.model_validate(
        declared(**REGRESSION | {"candidates": [candidate], "search": {"kind": "random", "trials": 1}})
    )
    assert ModelSpec.model_validate(spec.model_dump(mode="json")) == spec
    for point in (*spec.points(), *draw_points(spec)):
        assert str(point) == "boosted_forests(learn=log, maxIter=5, numTrees=2)"
        assert point.task == "regression"


def test_xgboost_is_an_extra_that_only_a_file_that_names_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = {"max_depth": [3, 4], "learning_rate": [0.1]}
    monkeypatch.setattr(xgboost, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'lakeloop\[xgboost\]'"):
        ModelSpec.model_validate(declared(candidates=[{"xgboost": grid}]))
    monkeypatch.setattr(xgboost, "find_spec", lambda name: ModuleSpec(name, None))
    loaded = set(sys.modules)
    for changes in ({}, {"label": {"column": "price", "task": "regression"}}):
        spec = ModelSpec.model_validate(declared(candidates=[{"xgboost": grid}], **changes))
        assert len(spec.points()) == 2
    assert "xgboost" not in set(sys.modules) - loaded
    with pytest.raises(ValidationError, match="'max_dept'; did you mean 'max_depth'"):
        ModelSpec.model_validate(declared(candidates=[{"xgboost": {"max_dept": [3]}}]))
    with pytest.raises(ValidationError, match="max_depth: Could not convert deep to int"):
        ModelSpec.model_validate(declared(candidates=[{"xgboost": {"max_depth": ["deep"]}}]))


def test_folds_are_measured_at_a_declared_number_unless_scores_will_be_calibrated() -> None:
    def threshold(decision: dict[str, Any] | None) -> float:
        return ModelSpec.model_validate(declared(decision=decision)).fold_threshold

    assert threshold(None) == threshold({"threshold": "best_f1"}) == threshold({"calibrate": "platt"}) == 0.5
    assert threshold({"threshold": 0.3}) == 0.3
    assert threshold({"threshold": 0.3, "calibrate": "platt"}) == 0.5
    spec = ModelSpec.model_validate(declared(decision={"costs": COSTS}, metrics={"beta": 3, "top": 0.2}))
    assert spec.yardstick(0.4) == Yardstick(0.4, 3, 0.2, Costs(1, 5))
