"""Boosting from the mean: values by hand, scikit-learn's on the same rows, and a model that is Spark's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import GBTRegressionModel
from pyspark.sql import DataFrame, SparkSession
from sklearn.ensemble import GradientBoostingRegressor

from lakeloop.training.algorithms import GridPoint, tunable
from lakeloop.training.cross_validation.stage_tree import named_columns
from lakeloop.training.estimators.boosted_forests import BoostedForests
from lakeloop.training.model_size import numbers_held

WHOLE = {"subsamplingRate": 1.0, "featureSubsetStrategy": "all"}


def boosting(**params: Any) -> BoostedForests:
    estimator = GridPoint("boosted_forests", params, "features", "regression").estimator(seed=3)
    assert isinstance(estimator, BoostedForests)
    return estimator


def said(model: Any, rows: DataFrame) -> list[float]:
    return [row["prediction"] for row in model.transform(rows).collect()]


@pytest.fixture(scope="module")
def steps(spark: SparkSession) -> DataFrame:
    """The label is 1 below and 5 above; each row is there twice."""
    rows = [(Vectors.dense(x, 0.0), y) for x, y in ((0.0, 1.0), (0.0, 1.0), (1.0, 5.0), (1.0, 5.0))]
    return spark.createDataFrame(rows, ["features", "_label"]).coalesce(1)


@pytest.fixture(scope="module")
def curve(spark: SparkSession) -> DataFrame:
    """80 rows of 20 and 16 values, the first ten rows twice."""
    at = [(float(i * 7 % 20), float(i * 5 % 16)) for i in range(80)]
    rows = [(Vectors.dense(a, b), 3.0 * a + (b - 8) ** 2 + i % 3) for i, (a, b) in enumerate(at)]
    return spark.createDataFrame([*rows, *rows[:10]], ["features", "_label"]).coalesce(1)


@pytest.mark.parametrize("trees", [1, 4])
def test_every_step_counts_a_share_the_first_one_as_well(steps: DataFrame, trees: int) -> None:
    # The mean is 3; each step finds what is left of -2 and +2 and takes half of it: 3 - 1 - 1/2 - 1/4.
    model = boosting(maxIter=3, stepSize=0.5, numTrees=trees, maxDepth=1, **WHOLE).fit(steps)
    assert said(model, steps) == pytest.approx([1.25, 1.25, 4.75, 4.75])
    assert model.treeWeights == pytest.approx([1.0] + [0.5 / trees] * 3 * trees)
    assert [tree.depth for tree in model.trees] == [0] + [1] * 3 * trees
    assert numbers_held(model) == 1 + 3 * trees * 4 + (1 + 3 * trees)  # a mean, splits of four numbers, weights


def test_it_says_what_scikit_learn_says(curve: DataFrame) -> None:
    model = boosting(maxIter=8, stepSize=0.3, numTrees=1, maxDepth=2, **WHOLE).fit(curve)
    rows = curve.collect()
    x, y = np.array([row["features"].toArray() for row in rows]), np.array([row["_label"] for row in rows])
    theirs = GradientBoostingRegressor(n_estimators=8, learning_rate=0.3, max_depth=2, random_state=0).fit(x, y)
    assert said(model, curve) == pytest.approx(theirs.predict(x).tolist(), abs=1e-9)


def test_a_seed_decides_which_rows_a_tree_sees(curve: DataFrame, spark: SparkSession) -> None:
    estimator = boosting(maxIter=3, numTrees=2, maxDepth=2, subsamplingRate=0.5)
    first = said(estimator.fit(curve), curve)
    assert said(estimator.fit(curve), curve) == first
    assert said(estimator.fit(curve, {estimator.seed: 4}), curve) != first
    assert spark._jsparkSession.sharedState().cacheManager().isEmpty()


def test_the_model_is_sparks_own(curve: DataFrame, tmp_path: Path) -> None:
    estimator = boosting(maxIter=2, numTrees=3, maxDepth=2, **WHOLE)
    assert named_columns(estimator) == {"features", "_label", "prediction"}
    model = estimator.fit(curve)
    model.save(str(tmp_path / "model"))
    loaded = GBTRegressionModel.load(str(tmp_path / "model"))
    assert said(loaded, curve) == said(model, curve)
    assert model.featureImportances.size == loaded.featureImportances.size == 2
    assert sum(model.featureImportances.toArray()) == pytest.approx(1)


def test_a_label_that_never_changes_is_the_answer(steps: DataFrame) -> None:
    model = boosting(maxIter=2).fit(steps.selectExpr("features", "7D AS _label"))
    assert said(model, steps) == pytest.approx([7.0] * 4)


def test_a_grid_may_vary_what_it_says_of_steps_and_trees() -> None:
    assert tunable("boosted_forests", "regression").keys() == {
        "maxIter", "stepSize", "numTrees", "maxDepth", "maxBins", "minInstancesPerNode", "minInfoGain",
        "subsamplingRate", "featureSubsetStrategy",
    }  # fmt: skip
