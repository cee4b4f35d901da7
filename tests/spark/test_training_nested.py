"""Nested cross-validation never shows a stage the rows that measure it, and held-out rows are measured on once."""

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training import held_out
from lakeloop.training import train as training
from lakeloop.training.features import stages as features
from lakeloop.training.features.filling import NamingImputer
from lakeloop.training.held_out import HeldOut, fingerprint_of
from lakeloop.training.nested import outer_folds
from lakeloop.training.search.searching import most_fits
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec


def declared(**changes: Any) -> ModelSpec:
    base = {
        "folds": {"count": 2, "nested": 2, "seed": 1},
        "features": {"numeric": ["tenure"]},
        "candidates": [{"logistic_regression": {"regParam": [0.1], "maxIter": [1]}}],
        "decision": {"calibrate": "isotonic", "threshold": 0.3},
    }
    return model_spec(**base | changes)


SPEC = declared()


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """48 people in eight towns, a third of whom leave; those with a short tenure and one more."""
    rows = [
        (f"p{i}", None if i == 40 else i, f"town {i % 8}", i // 2, "Yes" if i < 15 or i == 30 else "No")
        for i in range(48)
    ]
    return spark.createDataFrame(rows, "id string, tenure int, town string, day int, churn string").coalesce(1)


def ids(rows: DataFrame) -> frozenset[str]:
    return frozenset(row[0] for row in rows.select("id").collect())


class Watched:
    """A training with two outer folds: the rows of each fit of an imputer, of each outer fold, of each test."""

    def __init__(self, people: DataFrame) -> None:
        self.log: list[tuple[str, frozenset[str]]] = []
        self.told: list[tuple[int, int, str]] = []
        log, measure, test = self.log, training.tabulate_fold, held_out.measured_test

        class WatchedImputer(NamingImputer):
            def fit(self, dataset: DataFrame, params: Any = None) -> Any:
                log.append(("fit", ids(dataset)))
                return super().fit(dataset, params)

        def watched_fold(spec: ModelSpec, scored: DataFrame) -> Any:
            log.append(("outer fold", ids(scored)))
            return measure(spec, scored)

        def watched_test(spec: ModelSpec, scored: DataFrame, threshold: float) -> Any:
            log.append(("test", ids(scored)))
            return test(spec, scored, threshold)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(features, "NamingImputer", WatchedImputer)
            patch.setattr(training, "tabulate_fold", watched_fold)
            patch.setattr(held_out, "measured_test", watched_test)
            self.result = training.train(SPEC, people, lambda *step: self.told.append(step))


@pytest.fixture(scope="module")
def watched(people: DataFrame) -> Watched:
    return Watched(people)


def test_no_stage_sees_the_rows_of_its_outer_fold(watched: Watched, people: DataFrame) -> None:
    # Two folds and the champion; then twice two inner folds, the inner winner, and the outer fold.
    once = ["fit"] * 3
    assert [what for what, _ in watched.log] == [*once, *[*once, "outer fold"] * 2, "test"]
    test_rows, learned = watched.log[-1][1], watched.log[2][1]
    assert (len(test_rows), len(learned)) == (12, 36)
    assert test_rows | learned == ids(people)
    outer = [watched.log[at][1] for at in (6, 10)]
    assert frozenset.union(*outer) == learned
    assert [len(rows) for rows in outer] == [18, 18]
    for number, rows in enumerate(outer):
        first, second, last = (fitted for _, fitted in watched.log[3 + 4 * number : 6 + 4 * number])
        assert last == learned - rows
        assert not first & second
        assert first | second == last
    assert not any(rows & test_rows for what, rows in watched.log if what != "test")


def test_the_estimate_is_the_mean_of_what_won_within(watched: Watched) -> None:
    nested = watched.result.nested
    assert nested is not None
    aucs = [fold.metrics.figures()["area_under_roc"] for fold in nested.folds]
    assert nested.mean["area_under_roc"] == pytest.approx(sum(aucs) / 2)
    assert nested.std["area_under_roc"] == pytest.approx(abs(aucs[0] - aucs[1]) / 2**0.5)
    assert {str(fold.winner) for fold in nested.folds} <= {str(score.point) for score in watched.result.candidates}
    assert [fold.metrics.rows for fold in nested.folds] == [18, 18]
    assert {fold.metrics.threshold for fold in nested.folds} == {0.3}  # that of the model, whose scores are calibrated


def test_fits_are_foretold_those_within_too(watched: Watched) -> None:
    total = (most_fits(SPEC) + 1) * (1 + 2)
    assert total == (2 + 1) * 3
    assert {of for _, of, _ in watched.told} == {total}
    assert [done for done, _, _ in watched.told] == list(range(1, total + 1))
    assert watched.told[2][2].startswith("outer fold 1/2, fold 1/2: logistic_regression(")


def test_groups_and_times_stay_together_in_outer_folds(people: DataFrame) -> None:
    rows = people.withColumn("_label", (F.col("churn") == "Yes").cast("double"))
    by_town = declared(folds={"kind": "group", "by": "town", "count": 2, "nested": 2, "seed": 1})
    for train_rows, measured in outer_folds(by_town, rows):
        assert not train_rows.select("town").intersect(measured.select("town")).count()
        assert set(train_rows.columns) == set(rows.columns)
    by_day = declared(folds={"kind": "time", "by": "day", "count": 2, "nested": 2, "seed": 1})
    ends = [
        (t.agg(F.max("day")).collect()[0][0], m.agg(F.min("day"), F.max("day")).collect()[0])
        for t, m in outer_folds(by_day, rows)
    ]
    assert [(last, tuple(span)) for last, span in ends] == [(7, (8, 15)), (15, (16, 23))]


def test_too_few_rows_for_folds_within_folds_are_refused(people: DataFrame) -> None:
    many = declared(folds={"count": 9, "nested": 3, "seed": 1})  # of 12 who leave, 8 are left
    with pytest.raises(TrainingError, match=r"too few for split\.test 0\.25 and 9 folds within 3 outer ones"):
        training.train(many, people, lambda *_: None)


def test_the_test_rows_are_measured_once_and_recorded(watched: Watched, people: DataFrame) -> None:
    assert [what for what, _ in watched.log].count("test") == 1
    record = watched.result.held_out
    assert (record.rows, record.measured_at.tzinfo is not None) == (12, True)
    assert record.fingerprint == fingerprint_of(training.test_rows(SPEC, people), "id")
    held = HeldOut(
        SPEC, training.test_rows(SPEC, people).withColumn("_label", (F.col("churn") == "Yes").cast("double"))
    )
    held.measure(watched.result.model)
    with pytest.raises(TrainingError, match="held-out rows have been measured on"):
        held.measure(watched.result.model)


def test_a_fingerprint_is_of_the_keys_whatever_their_order(spark: SparkSession) -> None:
    def of(*keys: str | None) -> str:
        return fingerprint_of(spark.createDataFrame([(key,) for key in keys], "id string"), "id")

    assert of("a", "b", "c") == of("c", "a", "b")
    assert len({of("a", "b"), of("a", "c"), of("a", "b", "b"), of("ab"), of("a", "b", None), of("a", "b", "")}) == 6
    assert len(of("a")) == 32
    numbers = spark.range(3)
    assert fingerprint_of(numbers, "id") == of("0", "1", "2")
