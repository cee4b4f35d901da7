from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.util import JavaMLWritable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from lakeloop.training import train as training
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.decision.calibrating import Isotonic, Platt, calibrated_table, fit_calibration, inputs_of
from lakeloop.training.decision.rule import MARGIN, decided, find_rule, threshold_of
from lakeloop.training.estimators.balanced import Balanced
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.metrics.binary import BinaryMetrics, measure
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_file

DECLARED = model_file(
    label={"column": "left", "positive": True},
    features={"numeric": ["age"], "categorical": ["plan"]},
    candidates=[{"decision_tree": {"maxDepth": [3], "minInstancesPerNode": [5]}, "balance": "weights"}],
)
COSTS = {"false_positive": 1, "false_negative": 5}


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """240 people; the older, the likelier they leave, one in five of all; one age is NULL."""
    draw = np.random.default_rng(5)
    rows = [
        (i, None if i == 17 else float(i), ("a", "b", None)[i % 3], bool(draw.random() < (i / 240) ** 4))
        for i in range(240)
    ]
    return spark.createDataFrame(rows, "id int, age double, plan string, left boolean").coalesce(1).cache()


def table_of(rows: int, seed: int, power: float) -> tuple[ScoreTable, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Scores that are not probabilities: a row is positive with the probability score ** power."""
    draw = np.random.default_rng(seed)
    cells = np.ceil(draw.random(rows) * CELLS).astype(int)
    labels = draw.random(rows) < (cells / CELLS) ** power
    counts = [np.bincount(cells[labels == wanted], minlength=CELLS + 1) for wanted in (True, False)]
    return ScoreTable(*counts), cells, labels


def test_isotonic_calibration_is_that_of_scikit_learn(spark: SparkSession) -> None:
    table, cells, labels = table_of(600, 1, 2.0)
    curve = fit_calibration(spark, table, "isotonic", "probability")
    assert isinstance(curve, Isotonic)
    theirs = IsotonicRegression(out_of_bounds="clip").fit((cells - 0.5) / CELLS, labels)
    scores = np.linspace(0, 1, 101)
    assert curve(scores) == pytest.approx(theirs.predict(scores), abs=1e-9)
    moved = calibrated_table(table, curve, "isotonic", "probability")
    before, after = measure(table, 0), measure(moved, 0)
    assert before.expected_calibration_error > 0.1
    assert after.expected_calibration_error < 0.01
    assert (after.rows, after.positives) == (before.rows, before.positives)


def test_platt_calibration_is_that_of_scikit_learn(spark: SparkSession) -> None:
    table, cells, labels = table_of(500, 2, 3.0)
    curve = fit_calibration(spark, table, "platt", "probability")
    assert isinstance(curve, Platt)
    log_odds = inputs_of(cells, "platt", "probability")
    theirs = _SigmoidCalibration().fit(log_odds, labels)
    tried = np.linspace(-6, 6, 25)
    assert curve(tried) == pytest.approx(theirs.predict(tried), abs=1e-4)


DECISIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "isotonic by cost": ("decision_tree", {"calibrate": "isotonic", "threshold": "by_cost", "costs": COSTS}),
    "platt at a number": ("decision_tree", {"calibrate": "platt", "threshold": 0.25}),
    "a number": ("decision_tree", {"threshold": 0.7}),
    "margin": ("linear_svm", {"calibrate": "platt", "threshold": "best_f1"}),
    "margin isotonic": ("linear_svm", {"calibrate": "isotonic"}),
}


@pytest.fixture(scope="module")
def models(people: DataFrame) -> dict[str, PipelineModel]:
    """A tree and a support vector machine that were fitted on all people."""
    spec, rows = ModelSpec.model_validate(DECLARED), people.withColumn("_label", F.col("left").cast("double"))
    points = (
        GridPoint("decision_tree", {"maxDepth": 3}, "features"),
        GridPoint("linear_svm", {"maxIter": 5}, "features"),
    )
    return {
        point.algorithm: Pipeline(stages=[*feature_stages(spec, rows.schema), point.estimator(1)]).fit(rows)
        for point in points
    }


@pytest.mark.parametrize("name", DECISIONS)
def test_the_model_says_calibrated_probabilities_and_decides(
    people: DataFrame, models: dict[str, PipelineModel], spark: SparkSession, tmp_path: Path, name: str
) -> None:
    algorithm, decision = DECISIONS[name]
    spec = ModelSpec.model_validate(DECLARED | {"decision": decision})
    rule = find_rule(spark, spec, algorithm, [table_of(300, 3, 1.5)[0], table_of(300, 4, 1.5)[0]])
    model = decided(models[algorithm], rule, spark)
    assert all(isinstance(stage, JavaMLWritable) for stage in model.stages)
    if name == "isotonic by cost":  # Platt is saved in test_registry
        model.save(str(tmp_path / "model"))
        model = PipelineModel.load(str(tmp_path / "model"))
    assert threshold_of(model) == rule.threshold == rule.after.threshold
    said = model.transform(people.drop("left")).withColumn("p", vector_to_array("probability")[1]).collect()
    assert len(said) == 240
    assert [row["prediction"] for row in said] == [float(row["p"] > rule.threshold) for row in said]
    assert len({row["p"] for row in said}) > 2
    assert [row["probability"][0] for row in said] == pytest.approx([1 - row["p"] for row in said])
    if rule.curve is None:
        return
    raw = np.array([row[MARGIN if rule.given == "margin" else "probability__uncalibrated"][1] for row in said])
    clipped = np.clip(raw, 0.5 / CELLS, 1 - 0.5 / CELLS)
    takes_log_odds = decision["calibrate"] == "platt" and rule.given == "probability"
    inputs = np.log(clipped / (1 - clipped)) if takes_log_odds else raw
    assert [row["p"] for row in said] == pytest.approx(rule.curve(inputs).tolist(), abs=1e-9)


def test_the_rule_is_found_out_of_fold_and_costs_less(people: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[tuple[list[int], int]] = []
    fit = Balanced._fit

    def watched(self: Balanced, dataset: DataFrame) -> Any:
        folds = [row[0] for row in dataset.select("_fold_0").collect()]
        learned.append((sorted(set(folds)), len(folds)))
        return fit(self, dataset)

    monkeypatch.setattr(Balanced, "_fit", watched)
    spec = ModelSpec.model_validate(DECLARED | {"decision": DECISIONS["isotonic by cost"][1]})
    result = training.train(spec, people, lambda *_: None)
    # A fold's rows are balanced without those that it measures; the last fit is the champion's.
    assert [folds for folds, _ in learned] == [[1], [0], [0, 1]]
    assert learned[0][1] + learned[1][1] == learned[2][1] == result.rows_train
    assert result.decision is not None
    before, after = result.decision.before, result.decision.after
    assert before.rows == after.rows == result.rows_train  # each row of the folds once
    assert len(result.winner.tables) == 2
    assert before.cost is not None
    assert after.cost is not None
    assert after.cost < before.cost
    assert after.expected_calibration_error < before.expected_calibration_error
    assert isinstance(result.test, BinaryMetrics)
    assert result.test.threshold == result.decision.threshold
    assert set(result.importance) == {"age", "plan"}
    said = result.model.transform(training.labelled_test_rows(spec, people))
    assert said.where("prediction = 1").count() == result.test.true_positives + result.test.false_positives
    # What the classifier itself says of the held-out rows was measured with them.
    before_calibration = ScoreTable.of(said, "_label", "probability__uncalibrated")
    assert result.uncalibrated == measure(before_calibration, resamples=0, by=spec.yardstick(0.5))
    assert result.uncalibrated.positives == result.test.positives


def test_a_decision_that_changes_nothing_leaves_the_model_as_it_is(
    models: dict[str, PipelineModel], spark: SparkSession
) -> None:
    spec = ModelSpec.model_validate(DECLARED | {"decision": {"costs": COSTS}})
    rule = find_rule(spark, spec, "decision_tree", [table_of(200, 1, 1.0)[0]])
    assert decided(models["decision_tree"], rule, spark) is models["decision_tree"]
    assert threshold_of(models["decision_tree"]) == 0.5
    assert rule.after == rule.before
    assert (rule.after.cost or 0) > 0
