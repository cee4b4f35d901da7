"""People by chance, pipelines that Spark fits to them, and what is made of these, held against each other."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession

from lakeloop.registry.parity import Parity, check_parity
from lakeloop.scoring.archive import read_archive, write_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.corpus import corpus
from lakeloop.scoring.scorer import Scorer
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec

SCHEMA = (
    "id int, age double, visits bigint, plan string, member boolean, city string, since date, seen timestamp, part int"
)
FEATURES: dict[str, Any] = {
    "numeric": ["age", "visits", "member"],
    "categorical": ["plan", "city", "part"],
    "dates": {"since": ["year", "month", "day_of_week"], "seen": ["hour"]},
    "impute": "median",
}


def declared(task: str = "binary", **features: Any) -> ModelSpec:
    regression = {"column": "paid", "task": "regression"}
    return ModelSpec.model_validate({
        "model": "tried", "description": "d", "owner": "o", "table": "gold.people", "key": "id",
        "label": {"column": "left", "positive": True} if task == "binary" else regression,
        "split": {"test": 0.25, "seed": 1}, "folds": {"count": 2, "seed": 1},
        "features": FEATURES | features, "candidates": [{"decision_tree": {}}], "scores": "gold.scores",
    })  # fmt: skip


def people_of(spark: SparkSession) -> DataFrame:
    """300 people with NULLs in every column and a duplicate; who is older leaves more often and pays more."""
    draw = np.random.default_rng(3)

    def or_null(value: Any) -> Any:
        return None if draw.random() < 0.1 else value

    rows = []
    for number in range(300):
        age = float(np.round(draw.normal(40, 12), 1))
        plan = ("basic", "plus", "")[draw.integers(3)]
        left = float(draw.random() < 1 / (1 + np.exp(-(age - 45) / 6)))
        rows.append((
            number, or_null(age), or_null(int(draw.integers(0, 30))), or_null(plan), or_null(bool(draw.integers(2))),
            or_null(("Rome", "Oslo", "Kyiv", "Bern")[draw.integers(4)]),
            or_null(date(2020 + int(draw.integers(5)), int(draw.integers(1, 13)), 5)),
            or_null(datetime(2024, 1, 1, int(draw.integers(24)), 30, tzinfo=UTC)), int(draw.integers(3)),
            left, float(age * 10 + (50 if plan == "plus" else 0) + draw.normal()),
        ))  # fmt: skip
    return spark.createDataFrame([*rows, rows[-1]], f"{SCHEMA}, _label double, paid double").coalesce(1).cache()


def fitted(people: DataFrame, spec: ModelSpec, algorithm: str, params: dict[str, Any], on: Any = "features") -> Any:
    point = GridPoint(algorithm, params, on, spec.task)
    rows = people if spec.task == "binary" else people.withColumn("_label", people["paid"])
    for fold in ("_fold_0",):
        rows = rows.withColumn(fold, rows["id"] % 2)
    pipeline = Pipeline(stages=[*feature_stages(spec, rows.schema, on), point.estimator(1, "id")])
    return for_serving(pipeline.fit(rows))


def compiled(model: PipelineModel, spec: ModelSpec, people: DataFrame, folder: Path) -> Scorer:
    model.write().overwrite().save(str(folder / "model"))
    kinds = {name: people.schema[name].dataType.simpleString() for name in spec.features.columns}
    scorer = compile_pipeline(folder / "model", kinds, spec.task)
    archive = folder / "scorer.zip"
    archive.unlink(missing_ok=True)
    write_archive(scorer, archive)
    return read_archive(archive)


def parity(model: PipelineModel, spec: ModelSpec, people: DataFrame, folder: Path) -> Parity:
    scorer = compiled(model, spec, people, folder)
    sample = [row.asDict() for row in people.select(*spec.features.columns).limit(60).collect()]
    return check_parity(model, scorer, people.schema, corpus(scorer, sample))
