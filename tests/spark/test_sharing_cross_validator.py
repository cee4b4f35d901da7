from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Estimator, Model, Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import (
    PCA,
    Imputer,
    OneHotEncoder,
    SQLTransformer,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
)
from pyspark.ml.param.shared import HasInputCol
from pyspark.ml.regression import LinearRegression
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.cross_validation.sharing_cross_validator import SharingCrossValidator

FOLDS = 3
# Spark's CrossValidator, which stands beside ours here, leaves its pool of threads open.
pytestmark = pytest.mark.filterwarnings("ignore:.*Pool.__del__:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Sixty rows and one of them twice, a NULL in a number and one in a category; the label follows both."""
    made = [
        (float(i % 7), None if i == 11 else float(i * 37 % 50), None if i == 12 else "abc"[i % 3], i % FOLDS)
        for i in range(60)
    ]
    made.append(made[5])
    labelled = [(*row, float((row[1] or 0) + 9 * row[0] + (10 if row[2] == "a" else 0) > 50)) for row in made]
    return spark.createDataFrame(labelled, "x double, y double, kind string, fold int, label double")


def features(components: int = 3) -> list[Any]:
    return [
        Imputer(inputCols=["y"], outputCols=["y_filled"], strategy="median"),
        StringIndexer(inputCol="kind", outputCol="kind_index", handleInvalid="keep"),
        OneHotEncoder(inputCol="kind_index", outputCol="kind_slots"),
        VectorAssembler(inputCols=["x", "y_filled", "kind_slots"], outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="scaled"),
        PCA(k=components, inputCol="scaled", outputCol="features"),
    ]


def given(stages: list[Any], grid: ParamGridBuilder, **more: Any) -> dict[str, Any]:
    return {
        "estimator": Pipeline(stages=stages),
        "estimatorParamMaps": grid.build(),
        "evaluator": BinaryClassificationEvaluator(),
        "numFolds": FOLDS,
        "foldCol": "fold",
        **more,
    }


def both(arguments: dict[str, Any], rows: DataFrame) -> tuple[Any, Any]:
    """What ours and Spark's find."""
    return SharingCrossValidator(**arguments).fit(rows), CrossValidator(**arguments).fit(rows)


def test_metrics_and_winner_are_those_of_spark(rows: DataFrame) -> None:
    classifier = LogisticRegression()
    grid = ParamGridBuilder().addGrid(classifier.regParam, [0.001, 0.5]).addGrid(classifier.elasticNetParam, [0.0, 0.5])
    ours, theirs = both(given([*features(), classifier], grid), rows)
    assert ours.avgMetrics == pytest.approx(theirs.avgMetrics, abs=1e-9)
    assert ours.stdMetrics == pytest.approx(theirs.stdMetrics, abs=1e-9)
    assert len(set(theirs.avgMetrics)) > 1  # else any winner would do
    found, expected = (model.bestModel.stages[-1] for model in (ours, theirs))
    assert found.getRegParam() == expected.getRegParam()
    assert found.coefficients.toArray() == pytest.approx(expected.coefficients.toArray(), abs=1e-9)
    assert ours.transform(rows).select("prediction").collect() == theirs.transform(rows).select("prediction").collect()


@pytest.mark.slow
def test_candidates_may_part_at_any_stage_and_at_several(rows: DataFrame) -> None:
    stages, classifier = features(), LogisticRegression(maxIter=5)
    grid = (
        ParamGridBuilder()
        .addGrid(stages[0].strategy, ["median", "mean"])
        .addGrid(stages[-1].k, [1, 3])
        .addGrid(classifier.regParam, [0.01, 1.0])
    )
    ours, theirs = both(given([*stages, classifier], grid), rows)
    assert ours.avgMetrics == pytest.approx(theirs.avgMetrics, abs=1e-9)


def test_random_folds_are_those_of_spark_for_the_same_seed(rows: DataFrame) -> None:
    classifier = LogisticRegression()
    grid = ParamGridBuilder().addGrid(classifier.regParam, [0.01, 1.0])
    ours, theirs = both(given([*features(), classifier], grid, foldCol="", seed=5, parallelism=2), rows)
    assert ours.avgMetrics == pytest.approx(theirs.avgMetrics, abs=1e-9)


def test_an_estimator_without_stages_and_a_metric_to_be_small(rows: DataFrame) -> None:
    assembled = VectorAssembler(inputCols=["x", "label"], outputCol="features").transform(rows)
    regression = LinearRegression(labelCol="x")
    grid = ParamGridBuilder().addGrid(regression.regParam, [0.0, 5.0])
    evaluator = RegressionEvaluator(labelCol="x", metricName="rmse")
    arguments = given([], grid) | {"estimator": regression, "evaluator": evaluator}
    ours, theirs = both(arguments, assembled)
    assert ours.avgMetrics == pytest.approx(theirs.avgMetrics, abs=1e-9)
    assert ours.bestModel.getRegParam() == theirs.bestModel.getRegParam() == 0.0


class Counting(Estimator[Any], HasInputCol):
    """Counts its fits and the rows of each."""

    fitted: list[int]

    def _fit(self, dataset: DataFrame) -> Model:
        self.fitted.append(dataset.count())
        return Pipeline(stages=[SQLTransformer(statement="SELECT *, x AS counted FROM __THIS__")]).fit(dataset)


def test_what_candidates_share_is_fitted_once_a_fold_and_on_its_train_rows_only(rows: DataFrame) -> None:
    counting, classifier = Counting(), LogisticRegression(maxIter=1)
    Counting.fitted = []
    assembler = VectorAssembler(inputCols=["counted"], outputCol="features")
    grid = ParamGridBuilder().addGrid(classifier.regParam, [0.1, 0.2, 0.3, 0.4])
    inner = Pipeline(stages=[counting, assembler])  # stages of pipelines within the pipeline are shared, too
    told: list[tuple[int, int]] = []
    validator = SharingCrossValidator(**given([inner, classifier], grid))
    validator.progress = lambda done, total, _: told.append((done, total))
    validator.fit(rows)
    # Rows of folds 0, 1, 2: 20, 20, and 21 with the one that is there twice; at last all rows, for the best.
    assert Counting.fitted == [41, 41, 40, 61]
    assert told == [(done, 13) for done in range(1, 14)]


def test_models_of_the_folds_are_kept_if_asked_for(rows: DataFrame) -> None:
    classifier = LogisticRegression(maxIter=2)
    grid = ParamGridBuilder().addGrid(classifier.regParam, [0.01, 1.0])
    ours, theirs = both(given([*features(), classifier], grid, collectSubModels=True), rows)
    for found, expected in zip(ours.subModels, theirs.subModels, strict=True):
        assert [model.stages[-1].coefficients.toArray() for model in found] == [
            pytest.approx(model.stages[-1].coefficients.toArray(), abs=1e-9) for model in expected
        ]
    assert ours.subModels[0][0].transform(rows).count() == 61


def test_it_is_saved_and_loaded_with_its_estimator_and_grid(rows: DataFrame, tmp_path: Path) -> None:
    classifier = LogisticRegression(maxIter=2)
    grid = ParamGridBuilder().addGrid(classifier.regParam, [0.01, 1.0])
    validator = SharingCrossValidator(**given([*features(), classifier], grid))
    validator.write().save(str(tmp_path / "validator"))
    loaded = SharingCrossValidator.load(str(tmp_path / "validator"))
    assert isinstance(loaded, SharingCrossValidator)
    model = loaded.fit(rows)
    assert model.avgMetrics == pytest.approx(validator.fit(rows).avgMetrics, abs=1e-12)
    model.write().save(str(tmp_path / "model"))
    again = CrossValidatorModel.load(str(tmp_path / "model"))
    assert again.avgMetrics == pytest.approx(model.avgMetrics)
    assert again.transform(rows).select("prediction").collect() == model.transform(rows).select("prediction").collect()


@pytest.mark.parametrize(
    ("condition", "said"),
    [("fold < 2", "has no row of 2; numFolds 3 needs 0 to 2"), ("true", "has 3 in it; numFolds 3 needs 0 to 2")],
)
def test_folds_that_are_none_are_refused(rows: DataFrame, condition: str, said: str) -> None:
    moved = rows.where(condition).selectExpr("*", "IF(fold = 2, 3, fold) AS moved")
    column = "fold" if condition != "true" else "moved"
    grid = ParamGridBuilder().addGrid(LogisticRegression().regParam, [0.1])
    with pytest.raises(TrainingError, match=said):
        SharingCrossValidator(**given([*features(), LogisticRegression()], grid, foldCol=column)).fit(moved)
