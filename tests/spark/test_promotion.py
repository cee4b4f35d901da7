"""Versions that come to answer, or do not: the gates on real models, and the ledger that remembers."""

from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.metrics import roc_auc_score

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import ModelError, PromotionRefusedError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.champions import holder, switches
from lakeloop.lake.tables import Lake
from lakeloop.monitoring.incidents import Event, record_events
from lakeloop.training.comparison import beside
from lakeloop.training.comparison.beside import gain_over
from tests.model_files import model_file, model_spec

MODEL = yaml.safe_dump(
    model_file(
        table="gold.people",
        label={"column": "left", "positive": True},
        split={"test": 0.5, "seed": 1},
        candidates=[{"logistic_regression": {"regParam": [0.1], "maxIter": [5]}}],
    )
)
RUN = RunContext("train", "local")


def write(project: Project, spark: SparkSession, leaves: str) -> None:
    """Two hundred people, the age of one of whom is not known and one of whom is there twice but for the key."""
    people = spark.range(200, numPartitions=1).select(
        "id",
        F.when(F.col("id") > 1, F.greatest(F.col("id"), F.lit(3))).cast("double").alias("age"),
        ((F.col("id") % 7 == 0) | F.expr(leaves)).alias("left"),
    )
    Lake(spark, project.lake_root).write("gold.people", people, mode="overwrite")


@pytest.fixture(scope="module")
def project(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions: the young left at first, so that the second one, of today, is better."""
    folder = tmp_path_factory.mktemp("promotion")
    (folder / "conf/base/models").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\n")
    (folder / "conf/base/models/churn.yml").write_text(MODEL)
    project = Project(folder / "conf", "local")
    for leaves in ("id < 100", "id >= 100"):
        write(project, spark, leaves)
        verbs.train_model(project, "churn", RUN)
    return project


def test_a_better_version_answers(project: Project) -> None:
    first, second = switches(project.lake_root, "churn")
    assert [(s.action, s.version, s.previous) for s in (first, second)] == [
        ("promoted", 1, None), ("promoted", 2, 1),
    ]  # fmt: skip
    assert {gate.name for gate in first.gates} == {
        "parity", "champion", "incidents", "release", "signature", "answers", "latency",
    }  # fmt: skip
    assert (first.tables, second.tables) == ({"gold.people": 0}, {"gold.people": 1})
    assert second.metrics["test_area_under_roc"] > 0.8
    assert None not in (first.release, second.release)
    alias = mlflow.MlflowClient().get_model_version_by_alias("churn", "champion")
    assert int(alias.version) == 2


def test_by_hand_the_same_gates_are_asked(project: Project) -> None:
    with pytest.raises(PromotionRefusedError, match="version 1 of churn is not champion: champion: area_under_roc"):
        verbs.promote_model(project, "churn", 1, RUN)
    refused = switches(project.lake_root)[-1]
    assert (refused.action, [gate.name for gate in refused.gates if not gate.holds]) == ("refused", ["champion"])
    assert refused.release is None
    with pytest.raises(ModelError, match="version 2 of churn is champion already"):
        verbs.promote_model(project, "churn", 2, RUN)
    with pytest.raises(ModelError, match="there is no version 9 of churn"):
        verbs.promote_model(project, "churn", 9, RUN)
    with pytest.raises(ModelError, match="give --percent to canaries"):
        verbs.promote_model(project, "churn", 1, RUN, role="canary")
    canary = verbs.promote_model(project, "churn", 1, RUN, role="canary", percent=10.0).switch
    assert (canary.action, canary.percent, canary.version) == ("promoted", 10.0, 1)
    declared = project.folder / "base/models/churn.yml"
    declared.write_text(f"{MODEL}gates: {{champion: {{by: -1}}}}\n")
    assert verbs.promote_model(project, "churn", 1, RUN, why="to see").switch.version == 1
    assert holder(switches(project.lake_root), "churn", "canary") is None  # it has become champion
    # Other gates are no other model: nothing is trained anew.
    assert verbs.train_model(project, "churn", RUN).entry.outcome == "nothing_new"
    done = verbs.roll_back(project, "churn", RUN)
    assert (done.switch.version, done.trouble) == (2, "")
    held = holder(switches(project.lake_root), "churn", "champion")
    assert held is not None
    assert held.version == 2


def test_a_pipeline_in_trouble_keeps_its_models_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from lakeloop.registry import ModelRegistry, Registered

    def of_pipeline(*given: Any) -> Registered:
        found = registered(*given)
        return Registered(**{**vars(found), "rules": {"people": "0" * 12}})

    registered = ModelRegistry.registered
    monkeypatch.setattr(ModelRegistry, "registered", of_pipeline)
    at = RUN.started_at
    told = Event("i1", "file_missing", "people", "error", "people:file_missing:", "no file came", "r", at, "opened")
    record_events(project.lake_root, [told])
    with pytest.raises(PromotionRefusedError, match="incidents: people: no file came"):
        verbs.promote_model(project, "churn", 1, RUN, role="challenger")


@pytest.fixture
def scored(spark: SparkSession) -> DataFrame:
    """Rows with a label and two features that tell it, one better than the other; one row stands twice."""
    draw = np.random.default_rng(5)
    label = draw.integers(0, 2, 300).astype(float)
    good, bad = label + draw.normal(size=300), label + 3 * draw.normal(size=300)
    rows = [(int(at), float(label[at]), float(good[at]), float(bad[at])) for at in range(300)]
    return spark.createDataFrame([*rows, (300, *rows[0][1:])], "id bigint, _label double, good double, bad double")


def test_the_gain_of_two_classifiers_is_that_of_the_bootstrap(scored: DataFrame, monkeypatch: Any) -> None:
    monkeypatch.setattr(beside, "RESAMPLES", 400)
    new, old = (
        Pipeline(
            stages=[
                VectorAssembler(inputCols=[column], outputCol="features"),
                LogisticRegression(labelCol="_label"),
            ]
        ).fit(scored)
        for column in ("good", "bad")
    )
    spec = model_spec(features={"numeric": ["good", "bad"]})
    found = gain_over(spec, new, old, scored)
    rows = scored.toPandas()
    exact = [roc_auc_score(rows["_label"], rows[column]) for column in ("good", "bad")]
    assert (found.new, found.old, found.rows) == (
        pytest.approx(exact[0], abs=1e-3),
        pytest.approx(exact[1], abs=1e-3),
        301,
    )
    draw, drawn = np.random.default_rng(0), []
    for _ in range(400):
        at = np.concatenate(
            [draw.choice(np.flatnonzero(rows["_label"] == c), (rows["_label"] == c).sum()) for c in (0, 1)]
        )
        drawn.append(
            roc_auc_score(rows["_label"][at], rows["good"][at]) - roc_auc_score(rows["_label"][at], rows["bad"][at])
        )
    assert found.at_least == pytest.approx(float(np.quantile(drawn, 0.05)), abs=0.015)
    back = gain_over(spec, old, new, scored)
    assert back.gain == pytest.approx(-found.gain)
    assert back.at_least < -found.gain
    assert gain_over(spec, new, new, scored).at_least == 0.0


def test_the_gain_of_two_regressions_turns_the_sign_of_errors(scored: DataFrame) -> None:
    new, old = (
        Pipeline(
            stages=[
                VectorAssembler(inputCols=[column], outputCol="features"),
                LinearRegression(labelCol="_label"),
            ]
        ).fit(scored)
        for column in ("good", "bad")
    )
    spec = model_spec(
        label={"column": "y", "task": "regression"},
        features={"numeric": ["good", "bad"]},
        candidates=[{"linear_regression": {}}],
        select_by="rmse",
    )
    found = gain_over(spec, new, old, scored)
    assert found.new < found.old
    assert 0 < found.at_least < found.gain == pytest.approx(found.old - found.new)
