from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer, StringIndexerModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.preprocessing import TargetEncoder

from lakeloop.core.errors import TrainingError
from lakeloop.training.features import encoding
from lakeloop.training.features.encoding import CategoryEncoder, CategoryEncoderModel
from lakeloop.training.features.serving import for_serving

FOLDS = 3


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Thirty rows and one of them twice; the city is NULL (a category named so) or one of three, `z` in fold 2 only."""
    made = [
        (i, "z" if i == 29 else ("a", "b", "NULL")[i % 3], float(i % 4 == 0 or i % 3 == 1), i % FOLDS)
        for i in range(30)
    ]
    return spark.createDataFrame([*made, made[7]], "id int, city__category string, _label double, _fold_0 int")


def encoder(**changes: Any) -> CategoryEncoder:
    given: dict[str, Any] = {
        "encodings": {"city": "target"},
        "smoothing": 2.0,
        "label_col": "_label",
        "part_col": "id",
        "fold_cols": ["_fold_0"],
    } | changes
    return CategoryEncoder(given.pop("encodings"), given.pop("smoothing"), **given)


@pytest.fixture(scope="module")
def model(rows: DataFrame) -> CategoryEncoderModel:
    return encoder().fit(rows)


def encoded(model: Any, rows: DataFrame, column: str = "city__encoded") -> list[float]:
    return [row[0] for row in model.transform(rows).orderBy("id").select(column).collect()]


def smoothed(labels: list[float], beside: list[float], m: float) -> float:
    """The mean of `labels`, drawn to that of `beside` as by m rows of it."""
    return (sum(labels) + m * np.mean(beside)) / (len(labels) + m)


def test_a_row_learned_from_takes_the_statistics_of_the_other_parts(
    model: CategoryEncoderModel, rows: DataFrame
) -> None:
    known = rows.select("*", F.expr("pmod(xxhash64('part', string(id)), 5) AS part")).orderBy("id").collect()
    assert len({row["part"] for row in known}) == 5
    for row, found in zip(known, encoded(model, rows), strict=True):
        others = [other for other in known if other["part"] != row["part"]]
        same = [other["_label"] for other in others if other["city__category"] == row["city__category"]]
        assert found == pytest.approx(smoothed(same, [other["_label"] for other in others], 2))


def test_the_label_of_a_row_never_reaches_its_own_feature(rows: DataFrame, model: CategoryEncoderModel) -> None:
    before = encoded(model, rows)
    for flipped in (4, 29):
        labels = rows.withColumn(
            "_label", F.when(F.col("id") == flipped, 1 - F.col("_label")).otherwise(F.col("_label"))
        )
        after = encoded(encoder().fit(labels), rows)
        assert after[flipped if flipped < 8 else flipped + 1] == before[flipped if flipped < 8 else flipped + 1]
        assert after != before


def test_any_other_row_takes_those_of_all_as_scikit_learn_has_them(
    model: CategoryEncoderModel, rows: DataFrame, spark: SparkSession
) -> None:
    known = rows.collect()
    reference = TargetEncoder(smooth=2.0, target_type="continuous")
    reference.fit([[row["city__category"]] for row in known], [row["_label"] for row in known])
    asked = ["a", "b", "NULL", "z", "unseen"]
    expected = reference.transform([[city] for city in asked])[:, 0]
    new = spark.createDataFrame(list(enumerate(asked)), "id int, city__category string")
    assert encoded(model, new) == pytest.approx(expected)  # rows of a table have no fold
    not_learned_from = new.withColumn("_fold_0", F.lit(FOLDS))
    assert encoded(model, not_learned_from) == pytest.approx(expected)
    assert encoded(model, new.withColumn("_fold_0", F.lit(1))) != pytest.approx(expected)


def test_rows_of_the_fold_that_measures_are_not_taken_for_learned_from(rows: DataFrame) -> None:
    repeated = rows.withColumn("_fold_1", (F.col("id") + F.col("_fold_0")) % FOLDS)
    twice = encoder(fold_cols=["_fold_0", "_fold_1"])
    learned, measures = repeated.where("_fold_1 != 2"), repeated.where("_fold_1 = 2")
    model = twice.fit(learned)
    assert encoded(model, measures) == pytest.approx(encoded(model, measures.drop("_fold_0", "_fold_1")))
    assert encoded(model, learned) != pytest.approx(encoded(model, learned.drop("_fold_0")))


def test_rows_without_a_fold_are_learned_from_where_such_rows_were(
    rows: DataFrame, model: CategoryEncoderModel
) -> None:
    without = rows.withColumn("_fold_0", F.when(F.col("id") > 3, F.col("_fold_0")))
    assert encoded(encoder().fit(without), without) == encoded(model, rows)
    assert encoded(model, without)[0] == encoded(model, rows.drop("_fold_0"))[0]


def test_rows_that_are_all_in_one_part_tell_nothing(rows: DataFrame) -> None:
    one = rows.withColumn("group", F.lit("g"))
    mean = sum(row["_label"] for row in rows.collect()) / 31
    assert encoded(encoder(part_col="group").fit(one), one) == pytest.approx([mean] * 31)


def test_the_share_of_rows_is_the_same_for_each_row_and_0_for_an_unseen_one(
    rows: DataFrame, spark: SparkSession
) -> None:
    model = encoder(encodings={"city": "frequency"}, smoothing=0.0).fit(rows)
    assert encoded(model, rows)[:3] == pytest.approx([10 / 31, 11 / 31, 9 / 31])  # row 7, which is there twice, is in b
    assert encoded(model, spark.createDataFrame([(1, "unseen")], "id int, city__category string")) == [0.0]


def test_what_is_saved_is_two_stages_of_spark_and_says_the_same_of_new_rows(
    model: CategoryEncoderModel, rows: DataFrame, tmp_path: Path
) -> None:
    serving = for_serving(PipelineModel([PipelineModel([model])]))
    assert [type(stage) for stage in serving.stages] == [StringIndexerModel, SQLTransformer]
    assert "_fold" not in serving.stages[1].getStatement()
    serving.save(str(tmp_path / "model"))
    new = rows.select("id", "city__category").union(rows.selectExpr("id + 100", "'unseen'"))
    assert encoded(PipelineModel.load(str(tmp_path / "model")), new) == pytest.approx(encoded(model, new), abs=0)


def test_too_many_categories_are_refused_by_name(rows: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MOST_CATEGORIES", 3)
    both = encoder(encodings={"plan": "frequency", "city": "target"})
    with pytest.raises(TrainingError, match="encode: 'city' has more than 3 categories; group them in the pipeline"):
        both.fit(rows.withColumn("plan__category", F.lit("one")))
