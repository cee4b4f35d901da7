from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.interpretation.importance import feature_importance, perceptron_layers
from lakeloop.training.spec.model import ModelSpec

SPEC = ModelSpec.model_validate(
    {
        "model": "churn",
        "description": "Who leaves",
        "owner": "data-science",
        "table": "gold.features",
        "key": "id",
        "label": {"column": "churn", "positive": "Yes"},
        "split": {"test": 0.5, "seed": 1},
        "folds": {"count": 2, "seed": 1},
        "features": {"numeric": ["still"], "categorical": ["region", "plan"], "pca": {"components": 2}},
        "candidates": [{"logistic_regression": {}}],
        "scores": "gold.scores",
    }
)


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


def test_a_pipeline_without_a_known_classifier_is_refused(rows: DataFrame) -> None:
    with pytest.raises(TrainingError, match="StandardScalerModel"):
        feature_importance(SPEC, Pipeline(stages=feature_stages(SPEC, rows.schema)).fit(rows))
