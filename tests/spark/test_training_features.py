from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec

SCHEMA = "id int, age double, visits int, plan string, senior boolean, churn string"


def spec_of(**features: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "churn",
            "description": "Who leaves",
            "owner": "data-science",
            "table": "gold.features",
            "key": "id",
            "label": {"column": "churn", "positive": "Yes"},
            "split": {"test": 0.5, "seed": 1},
            "folds": {"count": 2, "seed": 1},
            "features": features,
            "candidates": [{"logistic_regression": {}}],
            "scores": "gold.scores",
        }
    )


ALL = spec_of(numeric=["age", "visits"], categorical=["plan", "senior"], impute="mean")


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [
            (1, 10.0, 1, "b", True, "Yes"),
            (2, 20.0, 2, "a", False, "No"),
            (3, float("nan"), None, None, None, "No"),
            (4, float("inf"), 4, "", True, "No"),
        ],
        SCHEMA,
    )


@pytest.fixture(scope="module")
def model(rows: DataFrame) -> PipelineModel:
    return Pipeline(stages=feature_stages(ALL, rows.schema)).fit(rows)


def vectors(model: PipelineModel, df: DataFrame, column: str = "features") -> list[list[float]]:
    return [list(row[0].toArray()) for row in model.transform(df).orderBy("id").select(column).collect()]


def test_missing_numbers_take_the_mean_and_null_or_empty_is_a_category(model: PipelineModel, rows: DataFrame) -> None:
    # Not finite means missing: age is 10 20 15 15, visits 1 2 7/3 4. Slots: age, visits, plan NULL a b, senior
    # NULL false true; a slot is divided by its sample deviation, 1/2 for one row of four, 1/sqrt(3) for two of four.
    age = sqrt(50 / 3)
    visits = sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 3)
    one, two = 1 / 0.5, sqrt(3)
    assert vectors(model, rows) == [
        pytest.approx([10 / age, 1 / visits, 0, 0, one, 0, 0, two]),
        pytest.approx([20 / age, 2 / visits, 0, one, 0, 0, one, 0]),
        pytest.approx([15 / age, 7 / 3 / visits, two, 0, 0, one, 0, 0]),
        pytest.approx([15 / age, 4 / visits, two, 0, 0, 0, 0, two]),
    ]


def test_an_unseen_category_has_no_slot(model: PipelineModel, spark: SparkSession) -> None:
    unseen = spark.createDataFrame([(1, 10.0, 1, "never seen", True, None)], SCHEMA)
    assert vectors(model, unseen)[0][2:] == pytest.approx([0, 0, 0, 0, 0, sqrt(3)])


def test_a_saved_pipeline_needs_no_class_of_ours(model: PipelineModel, rows: DataFrame, tmp_path: Path) -> None:
    model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert {type(stage).__module__ for stage in loaded.stages} == {"pyspark.ml.feature"}
    assert vectors(loaded, rows) == vectors(model, rows)


def test_median_and_a_category_alone(rows: DataFrame) -> None:
    median = Pipeline(stages=feature_stages(spec_of(numeric=["visits"], impute="median"), rows.schema)).fit(rows)
    assert [row[0] for row in median.transform(rows).orderBy("id").select("visits__filled").collect()] == [1, 2, 2, 4]
    plan = Pipeline(stages=feature_stages(spec_of(categorical=["plan"]), rows.schema)).fit(rows)
    assert vectors(plan, rows)[0] == [0, 0, 2]


def test_pca_is_fitted_only_on_demand(rows: DataFrame) -> None:
    spec = spec_of(numeric=["age", "visits"], pca={"components": 1})
    assert len(feature_stages(spec, rows.schema, "pca")) == len(feature_stages(spec, rows.schema)) + 1
    model = Pipeline(stages=feature_stages(spec, rows.schema, "pca")).fit(rows)
    assert [len(vector) for vector in vectors(model, rows, "features_pca")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"numeric": ["visit"]}, "no column 'visit'; did you mean 'visits'"),
        ({"categorical": ["plans"]}, "no column 'plans'; did you mean 'plan'"),
        ({"numeric": ["plan"]}, "numeric feature 'plan' of gold.features is string"),
    ],
)
def test_a_wrong_column_is_named(rows: DataFrame, features: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        feature_stages(spec_of(**features), rows.schema)
