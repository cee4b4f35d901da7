from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training import train as training
from lakeloop.training.features import stages as features
from lakeloop.training.features.filling import NamingImputer
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_file

Change = Callable[[DataFrame], DataFrame]

DECLARED = model_file(
    features={"numeric": ["tenure", "noise"], "categorical": ["plan"], "pca": {"components": 2}},
    candidates=[
        {"logistic_regression": {"regParam": [0.01], "maxIter": [10]}},
        {"logistic_regression": {"regParam": [0.01], "maxIter": [10]}, "on": "pca"},
        {"gradient_boosted_trees": {"maxIter": [2], "maxDepth": [1]}},
    ],
)
SPEC = ModelSpec.model_validate(DECLARED)


@pytest.fixture(scope="module")
def customers(spark: SparkSession) -> DataFrame:
    """80 customers, 20 of whom leave: those with a short tenure and two more. `plan` and `noise` tell nothing."""

    def leaves(i: int) -> str:
        return "Yes" if i < 18 or i in {30, 40} else "No"

    rows = [(f"c{i}", None if i == 70 else i, i * 37 % 11 / 10, ("a", "b", None)[i % 3], leaves(i)) for i in range(80)]
    return spark.createDataFrame(rows, "id string, tenure int, noise double, plan string, churn string")


@dataclass
class Watched:
    """A training, what it said, which folds each imputer was fitted on and whether it left a cache."""

    result: training.TrainingResult
    steps: list[tuple[int, int, str]]
    fitted_on: list[list[int]]
    left_cached: bool


def is_caching(spark: SparkSession) -> bool:
    return not spark._jsparkSession.sharedState().cacheManager().isEmpty()


@pytest.fixture(scope="module")
def watched(customers: DataFrame, spark: SparkSession) -> Watched:
    steps: list[tuple[int, int, str]] = []
    fitted_on: list[list[int]] = []

    class WatchedImputer(NamingImputer):
        def fit(self, dataset: DataFrame, params: Any = None) -> Any:
            fitted_on.append(sorted(row[0] for row in dataset.select("_fold_0").distinct().collect()))
            return super().fit(dataset, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "NamingImputer", WatchedImputer)
        result = training.train(SPEC, customers, lambda *step: steps.append(step))
    return Watched(result, steps, fitted_on, is_caching(spark))


@pytest.fixture(scope="module")
def result(watched: Watched) -> training.TrainingResult:
    return watched.result


def test_rows_are_split_by_class_and_counted(result: training.TrainingResult, customers: DataFrame) -> None:
    assert (result.rows_train, result.rows_test, result.positives) == (60, 20, 20)
    assert (result.test.rows, result.test.positives) == (20, 5)
    assert training.test_rows(SPEC, customers).where("churn = 'Yes'").count() == 5


def test_every_candidate_is_scored_on_every_fold_and_the_best_mean_wins(result: training.TrainingResult) -> None:
    assert {str(score.point) for score in result.candidates} == {str(point) for point in SPEC.points()}
    means = [score.mean["area_under_roc"] for score in result.candidates]
    assert means == sorted(means, reverse=True)
    assert result.winner is result.candidates[0]
    for score in result.candidates:
        first, second = (fold["area_under_roc"] for fold in score.folds)
        assert score.mean["area_under_roc"] == pytest.approx((first + second) / 2)
        assert score.std["area_under_roc"] == pytest.approx(abs(first - second) / 2**0.5)
        assert score.seconds > 0


def test_the_champion_learned_what_decides(result: training.TrainingResult) -> None:
    assert result.test.area_under_roc > 0.8
    assert max(result.importance, key=lambda column: result.importance[column]) == "tenure"
    assert sum(result.importance.values()) == pytest.approx(1)
    assert set(result.importance) == set(result.schema.names) == {"tenure", "noise", "plan"}


def test_progress_counts_fits_and_names_the_champion(watched: Watched) -> None:
    assert [(done, total) for done, total, _ in watched.steps] == [(done, 7) for done in range(1, 8)]
    assert watched.steps[0][2] == "fold 1/2: logistic_regression(regParam=0.01, maxIter=10)"
    assert watched.steps[-1][2] == f"champion: {watched.result.winner.point}"


def test_feature_stages_never_see_the_fold_they_are_scored_on(watched: Watched) -> None:
    assert watched.fitted_on == [[1], [0], [0, 1]]  # the last one is the champion's


def test_nothing_stays_cached(watched: Watched) -> None:
    assert watched.left_cached is False


def test_the_saved_champion_scores_the_raw_table_as_before(
    result: training.TrainingResult, customers: DataFrame, tmp_path: Path
) -> None:
    result.model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    again = training.evaluate(loaded, training.test_rows(SPEC, customers), SPEC)
    assert again == result.test
    unlabelled = loaded.transform(customers.drop("churn").where("tenure IS NULL OR plan IS NULL"))
    assert {"prediction", "probability"} <= set(unlabelled.columns)
    assert unlabelled.where("prediction IN (0, 1)").count() == 27


def test_order_and_partitions_of_the_table_do_not_matter(customers: DataFrame, result: training.TrainingResult) -> None:
    shuffled = customers.repartition(5, "plan").orderBy(F.desc("noise"))
    other = training.train(SPEC, shuffled, lambda *_: None)
    assert other.test == result.test
    assert [score.folds for score in other.candidates] == [score.folds for score in result.candidates]
    assert other.importance == result.importance


def with_null_labels(df: DataFrame) -> DataFrame:
    return df.withColumn("churn", F.when(~F.col("id").isin("c3", "c4", "c60"), F.col("churn")))


@pytest.mark.parametrize(
    ("changes", "table", "message"),
    [
        ({}, with_null_labels, "label 'churn' of gold.features is NULL in 3 rows"),
        ({}, lambda df: df.where("churn = 'Yes'"), r"two values, one of them 'Yes'; found 'Yes' \(20 rows\)"),
        ({}, lambda df: df.replace("Yes", "yes", "churn").union(df.where("id = 'c0'")), "'No' .* 'Yes' .* 'yes'"),
        ({"label": {"column": "churn", "positive": "yes"}}, lambda df: df, r"'yes'; found 'No' \(60 rows\), 'Yes'"),
        ({}, lambda df: df.where("churn = 'No' OR id IN ('c0', 'c1')"), "2 rows of 'Yes': too few"),
        ({}, lambda df: df.union(df.where("id = 'c7'")), "'id' is NULL or repeated in 1 of 81 rows"),
        ({}, lambda df: df.withColumn("id", F.when(F.col("id") != "c7", F.col("id"))), "repeated in 1 of 80 rows"),
        ({}, lambda df: df.withColumn("noise", F.lit(float("nan"))), "without a single finite value .*: noise"),
        ({}, lambda df: df.drop("noise"), "no column 'noise'"),
        ({"slices": ["region"]}, lambda df: df, "no column 'region'"),
        ({"slices": ["plan", "id"]}, lambda df: df, "slices column 'id' of gold.features has 80 values, at most 50"),
        (
            {"folds": {"kind": "time", "by": "tenure", "count": 4, "seed": 1}},
            lambda df: df.withColumn("tenure", F.col("tenure") % 40),
            "fold [34] of 4 has 1. rows to measure on, none of them positive; lower folds.count, or say kind: stratif",
        ),
        (
            {"folds": {"kind": "time", "by": "tenure", "count": 2, "seed": 1}},
            lambda df: df.withColumn("tenure", 80 - F.col("tenure")),
            "fold 1 of 2 has .* rows to train with, none of them positive; lower",
        ),
        ({}, lambda df: df.drop("churn"), "no column 'churn'"),
        (
            {"candidates": [{"logistic_regression": {"regParam": [-1]}}]},
            lambda df: df,
            "Spark refuses a value under candidates or features: .*regParam",
        ),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused(
    spark: SparkSession, customers: DataFrame, changes: dict[str, Any], table: Change, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        training.train(ModelSpec.model_validate(DECLARED | changes), table(customers), lambda *_: None)
    assert not is_caching(spark)


MADE: dict[str, Any] = {
    "numeric": ["tenure", "noise", "always"],
    "categorical": ["plan", "town"],
    "dates": {"joined": ["month", "age_days"]},
    "age_at": "2024-06-01",
    "scale": "min_max",
    "encode": {"plan": "frequency", "town": "target"},
    "buckets": {"noise": 3},
    "interactions": [["tenure", "noise"]],
    "select": [{"variance": 0}, {"univariate": 8}],
    "pca": {"variance": 0.9},
}


@pytest.fixture(scope="module")
def made(customers: DataFrame) -> tuple[ModelSpec, DataFrame, training.TrainingResult]:
    """Everything at once. Each town is in one row, but one; `left_on` is not declared, `joined` is NULL once."""
    spec = ModelSpec.model_validate(
        DECLARED
        | {
            "features": MADE,
            "candidates": DECLARED["candidates"][1:2],
            "folds": {"count": 2, "kind": "random", "seed": 3},
        }
    )
    table = customers.selectExpr(
        "*",
        "IF(tenure < 20, 'home', id) AS town",
        "IF(id = 'c5', NULL, date_add(DATE'2023-01-01', 5 * tenure)) AS joined",
        "1 AS always",
    )
    return spec, table, training.train(spec, table, lambda *_: None)


def test_a_model_of_every_kind_of_feature_is_saved_as_stages_of_spark_that_know_no_fold(
    made: tuple[ModelSpec, DataFrame, training.TrainingResult], tmp_path: Path
) -> None:
    spec, table, result = made
    assert {type(stage).__module__ for stage in result.model.stages[:-1]} == {"pyspark.ml.feature"}
    result.model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert training.evaluate(loaded, training.test_rows(spec, table), spec) == result.test
    stages = [path.read_text() for path in (tmp_path / "model" / "stages").glob("[0-9]*/metadata/part-*")]
    assert len(stages) == len(result.model.stages)
    assert not [text for text in stages[:-1] if "_fold" in text]
    scored = loaded.transform(table.drop("churn"))
    assert not [name for name in scored.columns if name.startswith("_")]
    assert scored.where("prediction IN (0, 1)").count() == 80


def test_every_column_has_its_share_and_what_never_changes_is_told(
    made: tuple[ModelSpec, DataFrame, training.TrainingResult],
) -> None:
    result = made[2]
    assert set(result.importance) == {"tenure", "noise", "always", "plan", "town", "joined"}
    assert sum(result.importance.values()) == pytest.approx(1)
    assert result.importance["always"] == 0
    assert result.warnings == ("feature 'always' never changes in 60 rows: it tells nothing; take it out",)
