from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.features.slots import slot_map
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.interpretation.importance import feature_importance, perceptron_layers
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

SPEC = model_spec(features={"numeric": ["still"], "categorical": ["region", "plan"], "pca": {"components": 2}})


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """The plan decides (NULL as much as `a`), the region is independent of it, `still` never changes."""
    plans = [("a", 1.0), ("b", 0.0), (None, 1.0), ("b", 0.0)] * 2
    return spark.createDataFrame(
        [(1.0, plan, "north" if i < 4 else "south", label) for i, (plan, label) in enumerate(plans)],
        "still double, plan string, region string, _label double",
    )


def fitted(rows: DataFrame, point: GridPoint) -> PipelineModel:
    return Pipeline(stages=[*feature_stages(SPEC, rows.schema, point.on), point.estimator(seed=1)]).fit(rows)


@pytest.mark.parametrize(
    "point",
    [
        GridPoint("logistic_regression", {"regParam": 0.1}, "features"),
        GridPoint("gradient_boosted_trees", {"maxIter": 1}, "features"),
        GridPoint("linear_svm", {"regParam": 0.1}, "features"),
        GridPoint("naive_bayes", {}, "features"),
    ],
    ids=str,
)
def test_slots_are_added_up_to_the_column_that_decides(rows: DataFrame, point: GridPoint) -> None:
    found = feature_importance(SPEC, fitted(rows, point))
    assert next(iter(found)) == "plan"
    assert found == pytest.approx({"plan": 1, "region": 0, "still": 0}, abs=1e-6)


def test_a_perceptron_is_as_large_as_its_features_and_its_weights_are_read_as_spark_does(rows: DataFrame) -> None:
    model = fitted(rows, GridPoint("multilayer_perceptron", {"hidden": (3,), "maxIter": 30}, "features"))
    perceptron: Any = model.stages[-1]
    assert list(perceptron.getLayers()) == [6, 3, 2]  # `still`, two regions, three plans of which NULL is one
    (inner, inner_bias), (outer, outer_bias) = perceptron_layers(perceptron)
    for row in model.transform(rows).collect():
        hidden = 1 / (1 + np.exp(-(inner @ row["features"].toArray() + inner_bias)))
        said = np.exp(outer @ hidden + outer_bias)
        assert row["probability"].toArray() == pytest.approx(said / said.sum())
    found = feature_importance(SPEC, model)
    assert next(iter(found)) == "plan"
    assert sum(found.values()) == pytest.approx(1)


def test_components_lead_back_to_columns(rows: DataFrame) -> None:
    # The slots of region oppose each other and are one component; plan's are another, and it decides.
    found = feature_importance(SPEC, fitted(rows, GridPoint("logistic_regression", {"regParam": 0.1}, "pca")))
    assert sum(found.values()) == pytest.approx(1)
    assert found["plan"] > 0.99
    assert found["still"] == 0


def test_a_model_that_uses_nothing_has_no_importance(rows: DataFrame) -> None:
    lasso = GridPoint("logistic_regression", {"regParam": 100.0, "elasticNetParam": 1.0}, "features")
    assert feature_importance(SPEC, fitted(rows, lasso)) == {"still": 0, "region": 0, "plan": 0}


@pytest.fixture(scope="module")
def sold(spark: SparkSession) -> DataFrame:
    """Forty houses whose price is ten times their area times their rooms, give or take; `kind` tells nothing."""
    return spark.range(40).selectExpr(
        "double(50 + id * 7 % 40) AS area", "double(1 + id * 3 % 5) AS rooms", "IF(id % 2 = 0, 'flat', 'villa') AS kind"
    ).selectExpr("*", "area * rooms * 10 + length(kind) AS _label")  # fmt: skip


def regression_of(**features: Any) -> ModelSpec:
    declared = {"numeric": ["area", "rooms"], "categorical": ["kind"], "interactions": [["area", "rooms"]]}
    return model_spec(
        label={"column": "price", "task": "regression"},
        features=declared | features,
        candidates=[{"linear_regression": {}}],
    )


def fit(spec: ModelSpec, rows: DataFrame, point: GridPoint) -> PipelineModel:
    return Pipeline(stages=[*feature_stages(spec, rows.schema, point.on), point.estimator(seed=1)]).fit(rows)


def test_a_product_counts_half_for_each_of_its_columns_also_after_a_selection(sold: DataFrame) -> None:
    spec = regression_of(select=[{"univariate": 1}, {"variance": 0}])
    model = fit(spec, sold, GridPoint("linear_regression", {}, "features", "regression"))
    assert slot_map(spec, model).names == ("area × rooms",)
    assert feature_importance(spec, model) == pytest.approx({"area": 0.5, "rooms": 0.5, "kind": 0})


def test_each_slot_has_a_name_and_the_columns_that_it_is_made_of(rows: DataFrame) -> None:
    features = {"numeric": ["still"], "categorical": ["region", "plan"], "encode": {"region": "target"}}
    spec = ModelSpec.model_validate(
        SPEC.model_dump(mode="json") | {"features": features | {"buckets": {"still": [0, 2]}, "pca": {"variance": 0.9}}}
    )
    with_folds = rows.selectExpr("*", "int(rand(1) * 2) AS _fold_0", "monotonically_increasing_id() AS id")
    stages = feature_stages(spec, with_folds.schema)
    found = slot_map(spec, Pipeline(stages=stages).fit(with_folds))
    assert found.names == (
        "still in [-inf, 0)",
        "still in [0, 2)",
        "still in [2, inf)",
        "still=NULL",
        "region",
        "plan=NULL",
        "plan=a",
        "plan=b",
    )
    assert found.shares.argmax(axis=1).tolist() == [0, 0, 0, 0, 1, 2, 2, 2]
    assert found.shares.sum(axis=1).tolist() == [1] * 8
    reduced = slot_map(spec, Pipeline(stages=feature_stages(spec, with_folds.schema, "pca")).fit(with_folds))
    assert reduced.names == tuple(f"component {number}" for number in range(1, len(reduced.names) + 1))
    assert 1 <= len(reduced.names) < 8
    assert reduced.shares.shape == (len(reduced.names), 3)
    assert reduced.deviations is not None
    assert list(reduced.deviations) == sorted(reduced.deviations, reverse=True)


@pytest.mark.parametrize("scale", ["none", "robust", "min_max"])
def test_coefficients_of_any_scale_compare_by_what_their_slots_vary(sold: DataFrame, scale: str) -> None:
    point = GridPoint("linear_regression", {}, "features", "regression")
    alike = [
        feature_importance(spec, fit(spec, sold, point), sold)
        for spec in (regression_of(scale=scale, categorical=[]), regression_of(categorical=[]))
    ]
    assert alike[0] == pytest.approx(alike[1], rel=1e-6)


def test_a_scale_without_rows_to_measure_it_is_refused(sold: DataFrame) -> None:
    spec = regression_of(scale="none")
    model = fit(spec, sold, GridPoint("linear_regression", {}, "features", "regression"))
    with pytest.raises(TrainingError, match="coefficients of slots that are scaled none do not compare"):
        feature_importance(spec, model)


def test_a_pipeline_without_a_known_classifier_is_refused(rows: DataFrame) -> None:
    with pytest.raises(TrainingError, match="StandardScalerModel"):
        feature_importance(SPEC, Pipeline(stages=feature_stages(SPEC, rows.schema)).fit(rows))
