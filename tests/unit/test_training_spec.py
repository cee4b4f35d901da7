from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.core.documents import Document
from lakeloop.training.algorithms import ALGORITHMS, tunable
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.names import METRICS
from lakeloop.training.metrics.regression import RegressionMetrics
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_file, model_spec

CHURN = Path(__file__).parents[2] / "conf/base/models/churn.yml"


def declared(**changes: Any) -> dict[str, Any]:
    base = {
        "folds": {"count": 3, "seed": 1},
        "features": {"numeric": ["age"], "categorical": ["plan"]},
        "candidates": [{"logistic_regression": {"regParam": [0.1]}}],
    }
    return model_file(**base | changes)


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        ModelSpec.model_validate(declared(**changes))
    return str(refused.value)


def test_the_shipped_churn_model_is_valid() -> None:
    spec = Document.load(CHURN).parse(ModelSpec)
    assert {point.algorithm for point in spec.points()} == {
        "logistic_regression",
        "random_forest",
        "gradient_boosted_trees",
    }
    assert [point.algorithm for point in spec.points() if point.on == "pca"] == ["logistic_regression"]


def test_a_grid_becomes_every_combination_in_order() -> None:
    grid = {"random_forest": {"numTrees": [10, 20], "maxDepth": [3, 4]}}
    spec = ModelSpec.model_validate(declared(candidates=[grid, {"logistic_regression": {}}]))
    assert [str(point) for point in spec.points()] == [
        "random_forest(numTrees=10, maxDepth=3)",
        "random_forest(numTrees=10, maxDepth=4)",
        "random_forest(numTrees=20, maxDepth=3)",
        "random_forest(numTrees=20, maxDepth=4)",
        "logistic_regression()",
    ]


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ({"random_forrest": {}}, "unknown key 'random_forrest'; did you mean 'random_forest'?"),
        ({"logistic_regression": {"regParm": [1]}}, "'regParm'; did you mean 'regParam'?"),
        ({"logistic_regression": {"labelCol": ["x"]}}, "unknown parameter of logistic_regression 'labelCol'"),
        ({"random_forest": {"seed": [1]}}, "unknown parameter of random_forest 'seed'"),
        ({"random_forest": {"numTrees": [2.5]}}, "numTrees: Could not convert 2.5 to int"),
        ({"logistic_regression": {"tol": ["1e-8"]}}, "write 1.0e-8"),
        ({"logistic_regression": {"tol": []}}, "at least 1 item"),
        ({"logistic_regression": {}, "random_forest": {}}, "found logistic_regression, random_forest"),
        (
            {"on": "features"},
            "exactly one of logistic_regression, linear_svm, naive_bayes, multilayer_perceptron, decision_tree, random",
        ),
        ({"logistic_regression": {}, "on": "pca"}, "features.pca is not declared"),
    ],
)
def test_a_wrong_candidate_says_what_is_allowed(candidate: dict[str, Any], message: str) -> None:
    assert message in refusal(candidates=[candidate])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"numeric": ["age", "churn"]}, "churn cannot be a feature"),
        ({"categorical": ["id"]}, "id cannot be a feature"),
        ({"numeric": ["age"], "categorical": ["age"]}, "features stand twice: age"),
        ({}, "no feature is declared"),
        ({"numeric": ["a.b"]}, "should match pattern"),
    ],
)
def test_wrong_features_are_refused(features: dict[str, Any], message: str) -> None:
    assert message in refusal(features=features)


def test_a_boolean_positive_is_compared_as_spark_writes_it() -> None:
    spec = ModelSpec.model_validate(declared(label={"column": "churn", "positive": True}))
    assert spec.label.positive_text == "true"


def test_params_that_a_grid_varies_exclude_columns_seed_and_threshold() -> None:
    assert {"regParam", "elasticNetParam", "maxIter", "tol"} <= tunable("logistic_regression", "binary").keys()
    for task, algorithms in ALGORITHMS.items():
        for algorithm in algorithms:
            names = tunable(algorithm, task)
            assert not [name for name in names if name.endswith("Col") or name in {"seed", "thresholds"}]


def test_every_key_of_the_json_schema_is_described() -> None:
    schema = ModelSpec.model_json_schema()
    models = [schema, *(model for model in schema["$defs"].values() if "properties" in model)]
    bare = [name for model in models for name, key in model["properties"].items() if "description" not in key]
    assert len(models) == 19
    assert bare == []


def test_select_by_can_name_each_figure() -> None:
    assert set(METRICS["binary"]) <= BinaryMetrics.__dataclass_fields__.keys()
    assert set(METRICS["regression"]) <= RegressionMetrics.__dataclass_fields__.keys()


HOUSES: dict[str, Any] = {
    "label": {"column": "price", "task": "regression"},
    "candidates": [{"linear_regression": {}}, {"random_forest": {"numTrees": [5]}}],
}


def test_a_regression_is_chosen_by_r2_and_its_rows_are_dealt_at_random() -> None:
    spec = ModelSpec.model_validate(declared(**HOUSES))
    assert (spec.task, spec.select_by) == ("regression", "r2")
    assert not spec.stratifies(spec.split)
    assert [point.task for point in spec.points()] == ["regression", "regression"]
    churn = ModelSpec.model_validate(declared())
    assert (churn.task, churn.select_by, churn.stratifies(churn.folds)) == ("binary", "area_under_roc", True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": {"column": "churn"}}, "say which value is `positive`, or `task: regression`"),
        ({"label": {"column": "price", "task": "regression", "positive": "x"}}, "a regression has no `positive` class"),
        (
            HOUSES | {"candidates": [{"logistic_regression": {}}]},
            "logistic_regression is not for task regression; allowed",
        ),
        ({"candidates": [{"linear_regression": {}}]}, "linear_regression is not for task binary; allowed"),
        (HOUSES | {"candidates": [{"random_forest": {"impurity": ["gini"], "leafCol": ["x"]}}]}, "'leafCol'"),
        (HOUSES | {"select_by": "f1"}, "select_by f1 is not for task regression; one of r2, rmse, mae, mape"),
        ({"select_by": "rmse"}, "select_by rmse is not for task binary"),
        (HOUSES | {"folds": {"kind": "stratified", "seed": 1}}, "a number has no classes to stratify by"),
        ({"folds": {"kind": "group", "seed": 1}}, "kind group needs `by`, the column of the group"),
        ({"split": {"kind": "time", "test": 0.2}}, "kind time needs `by`, the column of the time"),
        ({"split": {"kind": "random", "by": "at", "test": 0.2}}, "kind random takes no `by`"),
        ({"split": {"by": "at", "test": 0.2}}, "`by` without a kind"),
        ({"folds": {"kind": "time", "by": "at", "repeats": 2, "seed": 1}}, "folds by time are the same each time"),
    ],
)
def test_what_does_not_suit_the_task_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(**changes)


@pytest.mark.parametrize(
    ("gates", "found"),
    [
        ({"slices": {"metric": "recall", "largest_gap": 0.1}}, "say slices:"),
        ({"slices": {"metric": "r2", "largest_gap": 0.1}}, "metric r2 is not for task binary"),
        ({"champion": {"by": float("nan")}}, "finite number"),
        ({"champions": {}}, "did you mean 'champion'"),
    ],
)
def test_gates_that_cannot_be_asked_are_refused(gates: dict[str, Any], found: str) -> None:
    slices = [] if found.startswith("say") else ["plan"]
    with pytest.raises(ValidationError, match=found):
        model_spec(gates=gates, slices=slices)
