from collections import Counter
from typing import Any

import pytest
from pyspark.ml import Estimator
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.linalg import Vectors
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol, HasWeightCol
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.cross_validation.stage_tree import named_columns
from lakeloop.training.estimators.balanced import WEIGHT_COL, Balance, Balanced


class Recorder(Estimator[Any], HasFeaturesCol, HasLabelCol, HasWeightCol):
    """Learns nothing; gives back the rows that it was to learn from."""

    def _fit(self, dataset: DataFrame) -> Any:
        return dataset.drop("features").collect()


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """30 negative rows and 12 positive ones; one key is NULL."""
    return spark.createDataFrame(
        [(None if i == 5 else f"k{i}", float(i < 12), Vectors.dense(float(i))) for i in range(42)],
        ["key", "label", "features"],
    )


def given(rows: DataFrame, balance: Balance, seed: int = 1) -> list[Any]:
    learned: list[Any] = Balanced(Recorder(), balance, "key", seed).fit(rows)
    return learned


def test_weights_make_each_class_count_half_of_the_rows(rows: DataFrame) -> None:
    weights = {(row["label"], row[WEIGHT_COL]) for row in given(rows, "weights")}
    assert weights == {(1.0, 42 / (2 * 12)), (0.0, 42 / (2 * 30))}  # scikit-learn's n / (classes * rows of the class)


def test_oversampling_repeats_whole_rows_and_a_share_once_more(rows: DataFrame) -> None:
    learned = given(rows, "oversample")
    copies = Counter((row["key"], row["label"]) for row in learned)
    assert all(copies[f"k{i}", 0.0] == 1 for i in range(12, 42))
    positive = [count for (_, label), count in copies.items() if label]
    assert len(positive) == 12
    assert set(positive) == {2, 3}  # 30 / 12 is two and a half
    assert learned[0].asDict().keys() == {"key", "label"}


def test_undersampling_keeps_every_row_of_the_smaller_class_and_some_of_the_larger(rows: DataFrame) -> None:
    found = Counter(row["label"] for row in given(rows, "undersample"))
    assert found[1.0] == 12
    assert 5 <= found[0.0] <= 19  # 12 expected, give or take 2.7


@pytest.mark.parametrize("balance", ["oversample", "undersample"])
def test_the_sample_depends_on_seed_and_key_not_on_partitions(rows: DataFrame, balance: Balance) -> None:
    first, again = given(rows, balance), given(rows.repartition(3, "label").orderBy("key"), balance)
    assert Counter(map(tuple, first)) == Counter(map(tuple, again))
    assert Counter(map(tuple, first)) != Counter(map(tuple, given(rows, balance, seed=2)))


def test_the_model_is_the_native_one_of_weighted_rows(rows: DataFrame) -> None:
    balanced = Balanced(LogisticRegression(regParam=0.1), "weights", "key", 1)
    assert named_columns(balanced) == {"features", "label", "key"}
    model = balanced.fit(rows)
    assert type(model) is LogisticRegressionModel
    plain = LogisticRegression(regParam=0.1).fit(rows)
    middle = Vectors.dense(12.0)
    assert model.predictProbability(middle)[1] > plain.predictProbability(middle)[1]


def test_one_class_cannot_be_balanced(rows: DataFrame) -> None:
    with pytest.raises(TrainingError, match=r"found 12 of 1\.0; say fewer folds"):
        given(rows.where("label = 1"), "weights")
