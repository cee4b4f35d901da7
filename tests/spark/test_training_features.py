from math import cos, pi, sin, sqrt
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.encoding import CategoryEncoder
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

SCHEMA = "id int, age double, visits int, plan string, senior boolean, churn string"


def spec_of(**features: Any) -> ModelSpec:
    return model_spec(features=features)


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


def parts(features: dict[str, Any], df: DataFrame) -> list[list[float]]:
    """The slots of each row as they are, without a scale."""
    spec = spec_of(**features, scale="none")
    return vectors(Pipeline(stages=feature_stages(spec, df.schema)).fit(df), df)


def test_a_number_is_cut_at_limits_or_quantiles_and_a_missing_one_has_a_bucket(rows: DataFrame) -> None:
    # age is 10 20 NaN inf, visits 1 2 NULL 4: below 15, before 20, from 20 on, missing; two halves, missing.
    assert parts({"numeric": ["age", "visits"], "buckets": {"age": [15, 20], "visits": 2}}, rows) == [
        [1, 0, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 1],
        [0, 0, 0, 1, 0, 1, 0],
    ]


def test_products_are_of_imputed_numbers_and_mode_imputes(rows: DataFrame) -> None:
    more = rows.union(rows.where("id = 2").withColumn("id", F.lit(5)))  # a second 20 and a second 2
    spec = {"numeric": ["age", "visits"], "impute": "mode", "buckets": {"age": 2}, "interactions": [["age", "visits"]]}
    assert [slots[-1] for slots in parts(spec, more)] == [10, 40, 40, 80, 40]


@pytest.fixture(scope="module")
def dated(spark: SparkSession) -> DataFrame:
    return spark.sql(
        """SELECT id, timestamp(at) AS joined, DATE'2024-03-01' AS seen FROM VALUES
        (1, '2024-01-01 00:30:00'), (2, '2023-10-04 06:00:00'), (3, NULL) AS (id, at)"""
    )


def test_parts_of_a_date_go_round_and_its_age_is_counted_to_a_column_or_a_date(dated: DataFrame) -> None:
    found = parts({"dates": {"joined": ["year", "month", "hour", "age_days"]}, "age_at": "seen"}, dated)
    # 1 January, 0 o'clock, 60 days before; 4 October, 6 o'clock, 149 days before; the third has medians, no month.
    assert found == [
        pytest.approx([2024, 0, 1, 0, 1, 60]),
        pytest.approx([2023, -1, 0, 1, 0, 149]),
        pytest.approx([2023, 0, 0, 0, 0, 60]),
    ]
    weekdays = parts({"dates": {"joined": ["day_of_week", "age_days"]}, "age_at": "2024-01-02"}, dated)
    third = 2 * pi * 2 / 7  # a Wednesday
    assert weekdays[:2] == [pytest.approx([0, 1, 1]), pytest.approx([sin(third), cos(third), 90])]


def test_rows_are_parted_for_target_encoding_as_folds_part_them(rows: DataFrame) -> None:
    base = spec_of(categorical=["plan"], encode={"plan": "target"}).model_dump(mode="json")
    found = []
    for folds in ({"repeats": 2}, {"kind": "group", "by": "age"}):
        stages = feature_stages(ModelSpec.model_validate(base | {"folds": folds | {"seed": 1}}), rows.schema)
        found += [(stage.part_col, stage.fold_cols) for stage in stages if isinstance(stage, CategoryEncoder)]
    assert found == [("id", ("_fold_0", "_fold_1")), ("age", ("_fold_0",))]


def test_a_column_without_a_value_in_what_is_learned_from_is_named(rows: DataFrame) -> None:
    nothing = rows.where("id = 3")
    for features in (
        {"numeric": ["visits", "age"]},
        {"numeric": ["age", "visits"], "buckets": {"age": 2, "visits": 3}},
    ):
        stages = feature_stages(spec_of(**features), rows.schema)
        with pytest.raises(TrainingError, match=r"without a single finite value in the rows of a fold .*: .*visits"):
            Pipeline(stages=stages).fit(nothing)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"dates": ["plan"]}, "'plan' of gold.features is string and not a date or a timestamp; cast it"),
        ({"dates": {"joined": ["hour"]}}, "'joined' of gold.features is a date, which has no hour"),
        ({"dates": {"joined": ["age_days"]}, "age_at": "age"}, "'age' of gold.features is double and not a date"),
        ({"dates": {"joined": ["age_days"]}, "age_at": "aged"}, "no column 'aged'; did you mean 'age'"),
        ({"numeric": ["visit"]}, "no column 'visit'; did you mean 'visits'"),
        ({"categorical": ["plans"]}, "no column 'plans'; did you mean 'plan'"),
        ({"numeric": ["plan"]}, "numeric feature 'plan' of gold.features is string"),
    ],
)
def test_a_wrong_column_is_named(rows: DataFrame, features: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        feature_stages(spec_of(**features), rows.withColumn("joined", F.lit(None).cast("date")).schema)
