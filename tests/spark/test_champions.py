"""What is kept of a champion: repeated with the same figures, whatever happened to its table since; and explained."""

from pathlib import Path

import deltalake
import mlflow
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from typer.testing import CliRunner

from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import ModelError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.tables import Lake
from lakeloop.registry import ModelRegistry, portable, provenance
from lakeloop.registry.parity import Parity

MODEL = """
model: churn
description: Who leaves
owner: tests
table: gold.people
key: id
label: {column: left, positive: true}
split: {test: 0.2, seed: 1}
folds: {count: 2, seed: 1}
features: {numeric: [age], categorical: [plan]}
candidates: [{logistic_regression: {regParam: [0.1, 1.0], maxIter: [5]}}]
scores: gold.scores
"""


@pytest.fixture(scope="module")
def project(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A model that was trained on version 0 of a table, which has another version since."""
    folder = tmp_path_factory.mktemp("champions")
    (folder / "conf/base/models").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\n")
    (folder / "conf/base/models/churn.yml").write_text(MODEL)
    project = Project(folder / "conf", "local")
    write(project, spark, people(spark, leaves_from=100))
    verbs.train_model(project, "churn", RunContext("train", "local"))
    write(project, spark, people(spark, leaves_from=150))
    return project


def people(spark: SparkSession, leaves_from: int) -> DataFrame:
    """Two hundred people, the plan of one of whom is not known; the older ones leave, and every seventh."""
    number = F.col("id")
    return spark.range(200, numPartitions=1).select(
        "id",
        number.cast("double").alias("age"),
        F.when(number > 0, F.lit("basic")).alias("plan"),
        ((number >= leaves_from) | (number % 7 == 0)).alias("left"),
    )


def write(project: Project, spark: SparkSession, rows: DataFrame) -> None:
    Lake(spark, project.lake_root).write("gold.people", rows, mode="overwrite")


def reproduce(project: Project, name: str) -> verbs.Reproduced:
    return verbs.reproduce_model(project, name, RunContext("reproduce", "local"))


def test_the_same_rows_give_the_same_figures(project: Project) -> None:
    said = CliRunner().invoke(app, ["reproduce", "churn", "--conf-dir", str(project.folder)])
    assert said.exit_code == 0, said.output
    found = reproduce(project, "churn/1")
    assert found.changes == ()
    assert found.is_same
    assert all(then == now for then, now in found.figures.values())
    assert "test: area_under_roc" in found.figures
    folds = [name for name in found.figures if name.endswith("area_under_roc") and ", fold " in name]
    assert len(folds) == 4
    assert found.verdict == f"the same candidate and the same {len(found.figures)} figures"


def test_what_changed_since_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = ModelRegistry.of(project).tracked("churn/1")
    assert tracked.table_version == 0
    assert tracked.provenance.tables == {"gold.people": 0}
    monkeypatch.setattr(provenance, "code_hash", lambda: "0123456789ab")
    later = provenance.Provenance.now({"gold.people": 7}, {"people": "fedcba987654"})
    assert tracked.provenance.changes(later) == [
        "rules of people: none then, fedcba987654 now",
        f"code of Lakeloop: {tracked.provenance.code} then, 0123456789ab now",
    ]


def test_runs_hang_below_each_other_and_the_model_says_what_it_takes(project: Project) -> None:
    run_id = ModelRegistry.of(project).tracked("churn").run_id
    runs = mlflow.search_runs(experiment_names=["churn"], output_format="list")
    below = {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for run in runs}
    candidates = [child for child, parent in below.items() if parent == run_id]
    assert len(candidates) == 2
    assert sorted(sum(parent == each for parent in below.values()) for each in candidates) == [2, 2]
    info = mlflow.models.get_model_info("models:/churn/1")
    assert info.signature is not None
    assert info.signature.inputs.input_names() == ["age", "plan"]
    assert info.signature.outputs.input_names() == ["prediction"]
    example = info.saved_input_example_info
    assert example is not None


def test_a_name_that_nothing_is_tracked_by_is_refused(project: Project) -> None:
    for name in ("nobody", "churn/9", "0" * 32):
        with pytest.raises(ModelError, match=f"no training is tracked as '{name}'"):
            reproduce(project, name)


def test_figures_apart_are_told() -> None:
    one = verbs.Reproduced(
        "run", ("tree", "tree"), {"auc": (0.5, 0.5 + 1e-12), "f1": (0.5, 0.6), "mcc": (0.1, None)}, ()
    )
    assert list(one.apart) == ["f1", "mcc"]
    assert not one.is_same
    assert one.verdict == "2 of 3 figures differ"
    other = verbs.Reproduced("run", ("tree", "forest"), {"auc": (0.5, 0.5)}, ())
    assert not other.is_same
    assert other.verdict == "another candidate won: forest instead of tree"


def test_the_reasons_of_a_row_make_up_its_score(project: Project, spark: SparkSession) -> None:
    found = verbs.explain_model(project, "churn", RunContext("explain", "local"), rows=3)
    assert found.entry.table == "gold.scores_reasons"
    reasons = Lake(spark, project.lake_root).read("gold.scores_reasons").collect()
    by_row: dict[int, list[Row]] = {}
    for reason in reasons:
        by_row.setdefault(reason["id"], []).append(reason)
    assert sorted(by_row) == [197, 198, 199]  # the oldest have the highest scores
    for of_row in by_row.values():
        told = {reason["column"]: reason for reason in of_row}
        assert set(told) == {"age", "plan"}
        assert [told[name]["rank"] for name in ("age", "plan")] == [1, 2]
        total = sum(reason["contribution"] for reason in of_row)
        assert total == pytest.approx(of_row[0]["score"] - of_row[0]["mean_score"], abs=1e-12)
        assert {reason["model_version"] for reason in of_row} == {1}
    assert found.lines == ("It depends most on age, plan.", "Main reasons: age (3 rows).")
    page = Path(found.page.removeprefix("file://")).read_text()
    assert "Why churn answers so" in page
    assert "The mean answer is" in page


def test_scores_are_the_same_by_spark_and_by_the_archive(project: Project, spark: SparkSession) -> None:
    lake, told = Lake(spark, project.lake_root), []
    for way in ("spark", "archive"):
        write(project, spark, people(spark, leaves_from=150))  # a version of the table that has not been scored
        said = CliRunner().invoke(app, ["score", "churn", "--by", way, "--conf-dir", str(project.folder)])
        assert said.exit_code == 0, said.output
        told.append({row["id"]: row for row in lake.read("gold.scores").collect()})
    by_spark, by_archive = told
    assert len(by_spark) == 200
    for key, row in by_spark.items():
        same = ("is_positive", "model", "model_version")
        assert [row[name] for name in same] == [by_archive[key][name] for name in same]
        assert by_archive[key]["probability"] == pytest.approx(row["probability"], abs=1e-9)


def test_nothing_is_explained_before_the_first_champion(project: Project) -> None:
    (project.folder / "base/models/other.yml").write_text(MODEL.replace("model: churn", "model: other"))
    with pytest.raises(ModelError, match="other has no champion; run `lakeloop train other` first"):
        verbs.explain_model(project, "other", RunContext("explain", "local"))


def test_a_version_that_was_cleaned_up_is_said_so(project: Project) -> None:
    table = deltalake.DeltaTable(f"{project.lake_root}/gold/people")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(ModelError, match=r"trained on gold.people version 0, whose files are not all there"):
        reproduce(project, "churn")


def test_a_version_whose_scorer_differs_from_spark_is_no_champion(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "base/models/third.yml").write_text(MODEL.replace("model: churn", "model: third"))
    differs = Parity(rows=150, labels_apart=2, numbers_apart=0.5, examples=("{'age': 7.0}: Spark says 1.0",))
    monkeypatch.setattr(portable, "check_parity", lambda *_: differs)
    trained = verbs.train_model(project, "third", RunContext("train", "local"))
    assert not trained.promoted
    assert "is not champion: parity: the scorer differs from Spark on 2 labels of 150" in trained.entry.message
    assert "{'age': 7.0}" in trained.entry.message
    assert ModelRegistry.of(project).champion("third") is None
