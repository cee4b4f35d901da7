"""A model's archive answers rows of Spark: a table, a stream, a pipeline that follows a table."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline as Stages
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import ModelError, TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.enrichment.enriching import enrich
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import TablesSource
from lakeloop.ingestion.sources.tables import TablesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.champions import Switch, append_switch, put_release
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.tables import Commit, Lake
from lakeloop.registry.scoring import score_rows, score_rows_by_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.release import ARCHIVE, write_release
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.scalars import Index
from lakeloop.scoring.stages.vectors import Assemble
from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

RUN = RunContext("run", "test")
SCHEMA = "id bigint, age double, plan string, churn string, _label double, y double"
# A row without a key, a row twice, and NULLs in both features.
ROWS = [
    (1, 20.0, "basic", "No", 0.0, 3.0), (2, 35.0, "plus", "No", 0.0, 5.0), (3, 61.0, "basic", "Yes", 1.0, 9.0),
    (4, None, "plus", "Yes", 1.0, 7.0), (5, 44.0, None, "No", 0.0, 5.0), (5, 44.0, None, "No", 0.0, 5.0),
    (None, 70.0, "plus", "Yes", 1.0, 11.0),
]  # fmt: skip
FEATURES = {"numeric": ["age"], "categorical": ["plan"]}
KINDS = {"age": "double", "plan": "string"}


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SCHEMA).coalesce(1)


def declared(task: str) -> ModelSpec:
    if task == "binary":
        return model_spec(features=FEATURES, candidates=[{"random_forest": {"numTrees": [3]}}])
    label = {"column": "y", "task": "regression"}
    return model_spec(features=FEATURES, label=label, candidates=[{"linear_regression": {}}])


def fitted(spec: ModelSpec, rows: DataFrame) -> PipelineModel:
    (point,) = spec.points()
    labelled = rows if spec.task == "binary" else rows.withColumn(LABEL_COL, F.col("y"))
    stages = [*feature_stages(spec, rows.schema, point.on), point.estimator(1)]
    return for_serving(Stages(stages=stages).fit(labelled))


def archived(scorer: Scorer, folder: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    write_release(folder, scorer, model="churn", table="gold.people", key="id", background=[], probes=[])
    return (folder / ARCHIVE).read_bytes()


def told(frame: DataFrame) -> list[tuple[Any, ...]]:
    """All answers but the time, sorted; numbers to nine digits."""
    rows = frame.drop("scored_at").collect()
    rounded = [tuple(round(value, 9) if isinstance(value, float) else value for value in row) for row in rows]
    return sorted(rounded, key=str)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_archive_says_what_spark_says_of_a_table_and_of_a_stream(
    spark: SparkSession, people: DataFrame, tmp_path: Path, task: str
) -> None:
    spec = declared(task)
    model = fitted(spec, people)
    model.save(str(tmp_path / "model"))
    archive = archived(compile_pipeline(tmp_path / "model", KINDS, spec.task), tmp_path / "release")
    by_spark = score_rows(model, people, spec, 3, RUN)
    by_archive = score_rows_by_archive(archive, people, spec, 3, RUN)
    assert by_archive.dtypes == by_spark.dtypes
    wanted = told(by_spark)
    assert told(by_archive) == wanted
    assert len(wanted) == 7

    people.write.format("delta").save(str(tmp_path / "table"))
    stream = spark.readStream.format("delta").load(str(tmp_path / "table"))
    scores = score_rows_by_archive(archive, stream, spec, 3, RUN)
    query = (
        scores.writeStream.format("delta")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start(str(tmp_path / "scores"))
    )
    query.awaitTermination()
    assert told(spark.read.format("delta").load(str(tmp_path / "scores"))) == wanted


def strict_scorer(weight: float = 1.0) -> Scorer:
    """Positive on the plan 'plus'; another plan than 'basic' and 'plus' has no answer, NULL neither."""
    stages = [
        Index(["plan"], ["index"], [["basic", "plus"]], keeps=False),
        Assemble(["index"], "features"),
        BinaryLinear("features", "raw", "probability", "prediction", np.array([2 * weight]), -weight, 0.0),
    ]
    return Scorer({"plan": "string"}, stages, "binary")


def test_a_row_without_an_answer_fails_the_scoring_of_a_table(people: DataFrame, tmp_path: Path) -> None:
    archive = archived(strict_scorer(), tmp_path)
    scores = score_rows_by_archive(archive, people, declared("binary"), 1, RUN)
    with pytest.raises(PySparkException, match="column plan has a category that was not there in training"):
        scores.collect()


def promote(lake: Lake, scorer: Scorer, version: int, folder: Path) -> None:
    """Make a scorer champion, from now on."""
    folder.mkdir()
    name = write_release(folder, scorer, model="churn", table="gold.people", key="id", background=[], probes=[])
    release = put_release(lake.root, name, folder)
    switch = Switch(
        "churn", "champion", "promoted", version, "tests", "", "run", training_run="mlflow-run", release=release
    )
    append_switch(lake.root, lambda _: switch, lead=dt.timedelta())


def score(**changes: Any) -> Enrichment:
    columns = {"risk": "probability", "says": "is_positive", "version": "version", "trained_by": "training_run"}
    return Enrichment.model_validate({"score": {"model": "churn", "columns": columns} | changes})


def scored(lake: Lake, frame: DataFrame, **changes: Any) -> Conformed:
    rows = Conformed(frame)
    return enrich(rows, rows, [score(**changes)], lake=lake, services={}, known=None).rows


SAYS_PLUS, SAYS_BASIC = float(1 / (1 + np.exp(-1.0))), float(1 / (1 + np.exp(1.0)))


def test_each_row_of_a_batch_has_its_answer_and_the_version_that_gave_it(lake: Lake, tmp_path: Path) -> None:
    promote(lake, strict_scorer(), 4, tmp_path / "release")
    frame = lake.spark.createDataFrame(
        [(1, "plus"), (1, "plus"), (2, "basic"), (3, None), (4, "?")], "id int, plan string"
    )
    found = sorted(tuple(row) for row in scored(lake, frame).frame.collect())
    of_version = (4, "mlflow-run", "matched")
    nothing = (None, None, None, None, "missing")
    wanted = [
        (1, "plus", "matched"), (1, "plus", "matched"), (2, "basic", "matched"), (3, None, "missing"),
        (4, "?", "missing"),
    ]  # fmt: skip
    assert scored(lake, frame).frame.columns == ["id", "plan", "_lookup_churn", "risk", "says", "version", "trained_by"]
    assert [(row[0], row[1], row[2]) for row in found] == wanted
    assert [row[3:] for row in found] == [
        (pytest.approx(SAYS_PLUS), True, *of_version[:2]), (pytest.approx(SAYS_PLUS), True, *of_version[:2]),
        (pytest.approx(SAYS_BASIC), False, *of_version[:2]), nothing[:4], nothing[:4],
    ]  # fmt: skip


def test_what_does_not_fit_the_model_is_said_before_a_row_is_read(lake: Lake, tmp_path: Path) -> None:
    frame = lake.spark.createDataFrame([(1, 2)], "id int, plan int")
    with pytest.raises(ModelError, match=r"score churn: churn has no champion; run `lakeloop train churn` first"):
        scored(lake, frame)
    by_spark_alone = Switch("churn", "champion", "promoted", 1, "tests", "", "run")
    append_switch(lake.root, lambda _: by_spark_alone, lead=dt.timedelta())
    with pytest.raises(ModelError, match=r"version 1 of churn answers by Spark alone"):
        scored(lake, frame)
    promote(lake, strict_scorer(), 2, tmp_path / "release")
    with pytest.raises(TableError, match=r"plan is of type int, but churn version 2 has learned from string; add the"):
        scored(lake, frame)
    with pytest.raises(TableError, match=r"score churn: no column 'plan' comes from the source"):
        scored(lake, frame.drop("plan"))
    with pytest.raises(TableError, match=r"the rows have a column id already"):
        scored(lake, frame.withColumn("plan", F.lit("plus")), columns={"id": "version"})


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends before a batch is published."""

    @contextmanager
    def committing(self, table: str, commit: Commit) -> Iterator[None]:
        raise KilledError
        yield

    def publish_view(self, table: str, view: object) -> None:
        raise KilledError


def follow(lake: Lake) -> RunEntry:
    """A turn of a pipeline that scores what came to `silver.people`."""
    spec = PipelineSpec.model_validate({
        "pipeline": "churn_scores", "description": "What the model says of each person",
        "source": {"tables": ["silver.people"]}, "sink": {"table": "gold.churn_scores"},
        "enrich": [score(missing="quarantine").model_dump(exclude_none=True)],
    })  # fmt: skip
    assert isinstance(spec.source, TablesSource)
    reader = TablesReader(lake, spec.source, spec.pipeline, "gold.churn_scores", (), frozenset(), None)
    return Pipeline(spec, reader, lake).run(RUN, lambda text: None)


def test_a_pipeline_scores_what_comes_to_a_table_once_whatever_happens(lake: Lake, tmp_path: Path) -> None:
    def come(*rows: tuple[int | None, str | None]) -> None:
        lake.write("silver.people", lake.spark.createDataFrame(list(rows), "id int, plan string"), mode="append")

    def scores() -> list[tuple[Any, ...]]:
        return sorted(tuple(row) for row in lake.read("gold.churn_scores").select("id", "says", "version").collect())

    promote(lake, strict_scorer(), 1, tmp_path / "first")
    come((1, "plus"), (1, "plus"), (2, None))
    entry = follow(lake)
    assert entry.counts == RowCounts(read=3, good=2, quarantined=1)
    assert follow(lake).outcome == "nothing_new"
    first = [(1, True, 1), (1, True, 1)]
    assert scores() == first

    promote(lake, strict_scorer(-1.0), 2, tmp_path / "second")
    come((3, "plus"))
    with pytest.raises(KilledError):
        follow(DyingLake(lake.spark, lake.root))
    promote(lake, strict_scorer(), 3, tmp_path / "third")
    follow(lake)
    # The row had been recorded with its answer when the process ended: it keeps it.
    assert scores() == [*first, (3, False, 2)]
    assert follow(lake).outcome == "nothing_new"
