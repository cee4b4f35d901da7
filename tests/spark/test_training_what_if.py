"""Shapley values, partial dependence, permutation importance and coefficients of models that are known by hand."""

from pathlib import Path

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.reasons import explained
from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.interpretation.coefficients import coefficients
from lakeloop.training.interpretation.partial_dependence import partial_dependence
from lakeloop.training.interpretation.permutation import permutation_importance
from lakeloop.training.interpretation.shapley import shapley_values
from lakeloop.training.interpretation.what_if import sample_of
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

SCHEMA = "id bigint, a double, b double, kind string, y double"
# y = 2 a + 3 b, and 10 more for the kind "up"; the last row tells its values twice, and one lacks its kind.
ROWS = [
    (1, 0.0, 1.0, "up", 13.0),
    (2, 1.0, 0.0, "flat", 2.0),
    (3, 2.0, 2.0, "up", 20.0),
    (4, 3.0, 5.0, "flat", 21.0),
    (5, 4.0, 3.0, None, 17.0),
    (6, 5.0, 4.0, "up", 32.0),
    (7, 5.0, 4.0, "up", 32.0),
]


def declared(**changes: object) -> ModelSpec:
    base = {
        "table": "gold.sums",
        "label": {"column": "y", "task": "regression"},
        "features": {"numeric": ["a", "b"], "categorical": ["kind"]},
        "candidates": [{"linear_regression": {}}],
    }
    return model_spec(**base | changes)


def fitted(spec: ModelSpec, rows: DataFrame) -> PipelineModel:
    (point,) = spec.points()
    stages = [*feature_stages(spec, rows.schema, point.on), point.estimator(1)]
    return Pipeline(stages=stages).fit(rows.withColumn(LABEL_COL, F.col("y")))


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SCHEMA).coalesce(1)


@pytest.fixture(scope="module")
def model(rows: DataFrame) -> PipelineModel:
    return fitted(declared(), rows)


def test_a_sum_is_told_apart_into_what_each_column_adds(model: PipelineModel, rows: DataFrame) -> None:
    """In a sum each order of columns gives the same: 2 (a - mean a) and so on, means being those of the background."""
    values = shapley_values(declared(), model, rows.where("id IN (4, 5)"), rows.where("id <= 4"), draws=4)
    found = {(row["id"], row["column"]): row for row in values.collect()}
    # Of rows 1 to 4: mean a is 1.5, mean b is 2, half of them are up, and the mean score is 14.
    assert found[4, "a"]["contribution"] == pytest.approx(3.0, abs=1e-6)
    assert found[4, "b"]["contribution"] == pytest.approx(9.0, abs=1e-6)
    assert found[4, "kind"]["contribution"] == pytest.approx(-5.0, abs=1e-6)
    assert found[4, "b"]["mean_score"] == pytest.approx(14.0, abs=1e-6)
    assert found[4, "a"]["score"] == pytest.approx(21.0, abs=1e-6)
    assert [found[4, name]["value"] for name in ("a", "kind")] == ["3.0", "flat"]
    assert found[5, "kind"]["value"] is None
    for number in (4, 5):
        total = sum(found[number, name]["contribution"] for name in ("a", "b", "kind"))
        assert total == pytest.approx(found[number, "a"]["score"] - found[number, "a"]["mean_score"], abs=1e-9)


def test_columns_that_work_together_share_what_they_add(spark: SparkSession) -> None:
    """A tree that answers 1 where a and b are 1, seen from (0, 0): each adds one half, by symmetry."""
    corners = [(n, a, b, "x", a * b) for n, (a, b) in enumerate([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] * 3)]
    rows = spark.createDataFrame(corners, SCHEMA).coalesce(1)
    spec = declared(candidates=[{"decision_tree": {"maxDepth": [2]}}])
    values = shapley_values(spec, fitted(spec, rows), rows.where("id = 3"), rows.where("id = 0"), draws=2)
    found = {row["column"]: row for row in values.collect()}
    assert found["a"]["contribution"] == pytest.approx(0.5)
    assert found["b"]["contribution"] == pytest.approx(0.5)
    assert found["kind"]["contribution"] == pytest.approx(0.0)
    assert found["a"]["error"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    "candidate", [{"linear_regression": {}}, {"gradient_boosted_trees": {"maxIter": [4], "maxDepth": [3]}}]
)
def test_reasons_without_spark_are_those_with_it(
    rows: DataFrame, tmp_path: Path, candidate: dict[str, dict[str, list[int]]]
) -> None:
    spec = declared(candidates=[candidate])
    model = fitted(spec, rows)
    model.save(str(tmp_path / "model"))
    kinds = {name: rows.schema[name].dataType.simpleString() for name in spec.features.columns}
    scorer = compile_pipeline(tmp_path / "model", kinds, "regression")
    background = [row.asDict() for row in sample_of(spec, rows, 16, 3).orderBy("_rank").collect()]
    wanted = shapley_values(spec, model, rows.where("id IN (3, 5)"), rows, draws=16, seed=3).collect()
    for row in rows.where("id IN (3, 5)").collect():
        found = explained(scorer, row.asDict(), background, draws=16, seed=3)
        of_row = {each["column"]: each for each in wanted if each["id"] == row["id"]}
        assert set(of_row) == {reason.column for reason in found.reasons}
        for reason in found.reasons:
            by_spark = of_row[reason.column]
            assert by_spark["value"] == (None if reason.value is None else str(reason.value))
            figures = [by_spark[name] for name in ("contribution", "error", "score", "mean_score")]
            said = [reason.contribution, reason.error, found.score, found.mean_score]
            assert said == pytest.approx(figures, abs=1e-9)


def test_the_answer_follows_one_column_while_the_others_stay(model: PipelineModel, rows: DataFrame) -> None:
    of_a, of_kind = partial_dependence(declared(), model, rows, ["a", "kind"], steps=3)
    assert (of_a.column, of_a.is_numeric, of_a.values) == ("a", True, (0.0, 3.0, 5.0))
    # The mean answer is 18.714 where the mean of a is 20/7, and two more for each unit of a.
    mean = sum(y for *_, y in ROWS) / 7
    assert of_a.means == pytest.approx([mean + 2 * (a - 20 / 7) for a in of_a.values], abs=1e-6)
    assert (of_kind.is_numeric, of_kind.values) == (False, ("flat", "up", None))
    assert of_kind.means[1] - of_kind.means[0] == pytest.approx(10.0, abs=1e-6)
    assert all(low <= mean <= high for low, mean, high in zip(of_a.low, of_a.means, of_a.high, strict=True))


def test_a_column_that_tells_nothing_costs_nothing(model: PipelineModel, rows: DataFrame) -> None:
    labelled = rows.withColumn(LABEL_COL, F.col("y"))
    found = {each.column: each for each in permutation_importance(declared(), model, labelled, repeats=4)}
    assert found["b"].loss > 0.1
    assert found["b"].deviation > 0
    spec = declared(features={"numeric": ["a", "b", "id_again"], "categorical": ["kind"]}, select_by="rmse")
    more = labelled.withColumn("id_again", F.lit(1.0) + F.col("id") % 2)
    known = fitted(spec, more)
    again = {each.column: each for each in permutation_importance(spec, known, more, repeats=2)}
    assert again["id_again"].loss == pytest.approx(0.0, abs=1e-4)
    assert again["kind"].loss > 1


@pytest.mark.parametrize("scale", ["standard", "min_max", "none"])
def test_coefficients_are_in_units_of_the_table(rows: DataFrame, scale: str) -> None:
    features = {"numeric": ["a", "b"], "categorical": ["kind"], "scale": scale, "pca": {"components": 5}}
    for on in ("features", "pca"):
        spec = declared(features=features, candidates=[{"linear_regression": {}, "on": on}])
        found = dict(coefficients(spec, fitted(spec, rows)))
        assert found["a"] == pytest.approx(2.0, abs=1e-4)
        assert found["b"] == pytest.approx(3.0, abs=1e-4)
        assert found["kind=up"] - found["kind=flat"] == pytest.approx(10.0, abs=1e-4)


def test_a_tree_has_no_coefficients(rows: DataFrame) -> None:
    spec = declared(candidates=[{"decision_tree": {"maxDepth": [1]}}])
    assert coefficients(spec, fitted(spec, rows)) == ()


def test_nothing_to_explain(model: PipelineModel, rows: DataFrame) -> None:
    with pytest.raises(TrainingError, match=r"nothing to explain, the table has no rows; load gold.sums first"):
        shapley_values(declared(), model, rows, rows.where("false"))
