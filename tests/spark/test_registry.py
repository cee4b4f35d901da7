"""The registry on a store of its own: versions, the champion, and what an empty or unreachable registry says."""

import os
from pathlib import Path

import mlflow
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import ModelError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.champions import Switch, append_switch
from lakeloop.registry import ModelRegistry
from lakeloop.registry.provenance import Provenance
from lakeloop.registry.scoring import score_rows
from lakeloop.scoring.release import complaints, read_release
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult, train
from tests.model_files import model_spec

DECIDED = {"calibrate": "platt", "threshold": "best_f1"}


def declared(**changes: object) -> ModelSpec:
    base = {
        "table": "gold.people",
        "label": {"column": "left", "positive": True},
        "split": {"test": 0.2, "seed": 1},
        "features": {"numeric": ["age"], "categorical": ["plan"]},
        "candidates": [{"logistic_regression": {"regParam": [0.1], "maxIter": [5]}}],
    }
    return model_spec(**base | changes)


@pytest.fixture
def people(spark: SparkSession) -> DataFrame:
    """Two hundred people; who is older than a hundred leaves."""
    return spark.range(200, numPartitions=1).select(
        "id", F.col("id").cast("double").alias("age"), F.lit("basic").alias("plan"), (F.col("id") >= 100).alias("left")
    )


def test_versions_the_champion_and_its_scores(people: DataFrame, tmp_path: Path) -> None:
    registry, spec, run = (
        ModelRegistry("", str(tmp_path)),
        declared(decision=DECIDED, slices=["plan"]),
        RunContext("train", "test"),
    )
    assert registry.champion("churn") is None
    assert registry.trained(spec, 3) is None

    result = train(spec, people, lambda done, total, text: None)
    sample = [row.asDict() for row in people.select("age", "plan").limit(20).collect()]
    version, portable = registry.register(result, run, 3, Provenance.now({}, {}), sample)
    assert version == 1
    assert str(portable).startswith("answers without Spark as with it, on ")
    assert registry.champion("churn") is None
    check_registered(registry, result, run, tmp_path)
    champion = registry.champion("churn")
    assert champion is not None
    assert (champion.version, champion.model) == (1, "churn")
    assert registry.trained(spec, 3) == 1
    assert registry.trained(spec, 4) is None
    assert registry.trained(declared(select_by="log_loss"), 3) is None
    assert registry.champion("other") is None

    registry.attach("churn", 1, {"model_card.md": "# Card\n"})
    artifacts = f"runs:/{champion.run_id}"
    assert mlflow.artifacts.load_text(f"{artifacts}/model_card.md") == "# Card\n"
    held_out = mlflow.artifacts.load_dict(f"{artifacts}/held_out.json")
    assert held_out == result.held_out.to_dict()
    assert mlflow.get_run(champion.run_id).data.tags["lakeloop.held_out"] == held_out["fingerprint"]
    decision = mlflow.artifacts.load_dict(f"{artifacts}/decision.json")
    assert result.decision is not None
    assert result.uncalibrated is not None
    assert (decision["threshold"], decision["out_of_fold"]["after"]["rows"]) == (result.decision.threshold, 160)
    metrics = mlflow.get_run(champion.run_id).data.metrics
    assert {name: value for name, value in metrics.items() if name.startswith("calibration_error")} == {
        "calibration_error_out_of_fold_before": result.decision.before.expected_calibration_error,
        "calibration_error_out_of_fold_after": result.decision.after.expected_calibration_error,
        "calibration_error_test_before": result.uncalibrated.expected_calibration_error,
    }
    (child,) = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{champion.run_id}'", output_format="list")
    assert (child.data.tags["lakeloop.stopped"], child.data.tags["lakeloop.folds"]) == ("false", "2")
    assert child.data.metrics["numbers"] == result.winner.numbers

    scores = score_rows(registry.load(champion), people, spec, champion.version, run)
    mine = result.model.transform(people).select("id", "prediction")
    same = scores.join(mine, "id").where(F.col("is_positive") == (F.col("prediction") == 1)).count()
    rows = scores.agg(F.count("*"), F.min("probability"), F.max("probability"), F.max("model_version")).collect()
    assert same == rows[0][0] == 200
    assert 0 <= rows[0][1] < 0.5 < rows[0][2] <= 1
    assert rows[0][3] == 1
    assert (tmp_path / "mlflow.db").is_file()

    # What answers without Spark is a model of MLflow's own, and says the same to the last digit but few.
    served = mlflow.pyfunc.load_model(f"{artifacts}/scorer")
    asked = people.drop("left").toPandas()
    answers = served.predict(asked[["plan", "age"]].assign(id=asked["id"]))
    said = scores.select("id", "probability", "is_positive").toPandas().set_index("id").loc[asked["id"]]
    assert answers["prediction"].tolist() == said["is_positive"].astype(float).tolist()
    assert answers["probability"].to_numpy() == pytest.approx(said["probability"].to_numpy(), abs=1e-9)
    parity = mlflow.artifacts.load_dict(f"{artifacts}/parity.json")
    assert parity["holds"]
    assert parity["rows"] > 40
    assert mlflow.get_run(champion.run_id).data.tags["lakeloop.scorer"] == "agrees"


def check_registered(registry: ModelRegistry, result: TrainingResult, run: RunContext, folder: Path) -> None:
    """A version says how it was made, has a release, and becomes champion by the ledger, which the alias follows."""
    registered = registry.registered("churn", 1)
    assert registered.portable.parity is not None
    assert registered.portable.parity.holds
    assert registered.metrics["test_area_under_roc"] == result.test.figures()["area_under_roc"]
    assert {part["column"] for part in registered.slices} == {"plan"}
    with pytest.raises(ModelError, match="there is no version 7 of churn"):
        registry.registered("churn", 7)
    release = read_release(registry.release(registered.run_id, folder / "release"))
    assert (release.card.table, release.card.key, complaints(release)) == ("gold.people", "id", [])
    made = Switch("churn", "champion", "promoted", 1, "me", "first", run.run_id, training_run=registered.run_id)
    assert registry.mirror(append_switch(str(folder), lambda _: made)) == ""


def test_one_registry_is_not_the_setting_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert ModelRegistry("", str(folder)).trained(declared(), 0) is None
        assert (folder / "mlflow.db").is_file()
        assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_registry_that_cannot_be_reached_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ModelError, match=r"the registry at http://127\.0\.0\.1:1 does not answer"):
        ModelRegistry("http://127.0.0.1:1", str(tmp_path)).trained(declared(), 0)
