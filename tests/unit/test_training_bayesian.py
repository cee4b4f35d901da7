"""Proposals of a bayesian search whose trials cost nothing: quality is a function of the parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import log10
from typing import Any

import pytest

from lakeloop.training.algorithms import GridPoint
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.search import bayesian
from lakeloop.training.search.bayesian import search_bayesian
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

RIDGE = {"logistic_regression": {"regParam": {"low": 1.0e-6, "high": 1.0, "log": True}}}


def spec(*candidates: dict[str, Any], **changes: Any) -> ModelSpec:
    searched = {"candidates": list(candidates), "search": {"kind": "bayesian", "trials": 30, "seed": 5}}
    return model_spec(**searched | changes)


class Trials:
    """Stands in for fits: the nearer `regParam` is to 0.001, the better; a decision tree is worst."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        patch.setattr(bayesian, "folds_of", lambda spec, rows: [None, None])
        patch.setattr(bayesian, "kept_folds", self.kept)
        patch.setattr(bayesian, "_measured_together", self.measured)

    @contextmanager
    def kept(self, spec: ModelSpec, folds: Any) -> Iterator[list[Any]]:
        yield []

    def measured(self, spec: ModelSpec, points: list[GridPoint], *_: Any) -> list[CandidateScore]:
        self.batches.append(len(points))
        return [CandidateScore(point, ({spec.select_by: self.quality(spec, point)},) * 2, 1.0) for point in points]

    def quality(self, spec: ModelSpec, point: GridPoint) -> float:
        distance = abs(log10(point.params["regParam"]) + 3) if "regParam" in point.params else 4.0
        return distance if spec.select_by == "log_loss" else -distance


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    return Trials(monkeypatch)


def run(spec: ModelSpec, parallelism: int = 2) -> list[CandidateScore]:
    return list(search_bayesian(spec, None, lambda *_: None, parallelism))  # type: ignore[arg-type]


def test_the_same_seed_proposes_the_same_and_another_one_others(trials: Trials) -> None:
    first = [str(score.point) for score in run(spec(RIDGE))]
    assert first == [str(score.point) for score in run(spec(RIDGE))]
    other = spec(RIDGE, search={"kind": "bayesian", "trials": 30, "seed": 6})
    assert first != [str(score.point) for score in run(other)]


@pytest.mark.parametrize("metric", ["area_under_roc", "log_loss"])
def test_later_trials_are_nearer_to_the_best_than_chance(trials: Trials, metric: str) -> None:
    longer = {"kind": "bayesian", "trials": 60, "seed": 5}
    scores = run(spec(RIDGE, {"decision_tree": {}}, select_by=metric, search=longer))
    ridge = [abs(log10(score.point.params["regParam"]) + 3) for score in scores if score.point.params]
    # Drawn evenly over six orders of magnitude they would be 1.5 away on average.
    assert sum(ridge[-20:]) / 20 < 0.75
    assert sum(score.point.algorithm == "decision_tree" for score in scores) == 1  # proposed again, not fitted again


def test_trials_go_in_batches_of_what_runs_at_a_time(trials: Trials) -> None:
    assert len(run(spec(RIDGE, search={"kind": "bayesian", "trials": 7, "seed": 1}), parallelism=3)) == 7
    assert trials.batches == [3, 3, 1]


def test_a_metric_that_is_undefined_ends_no_search(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "quality", lambda spec, point: float("nan"))
    assert len(run(spec(RIDGE, search={"kind": "bayesian", "trials": 12, "seed": 1}))) == 12


def test_whole_numbers_and_lists_are_proposed_as_such(trials: Trials) -> None:
    forest = {"random_forest": {"maxDepth": {"low": 3, "high": 5}, "impurity": ["gini", "entropy"], "numTrees": [5]}}
    points = [score.point for score in run(spec(forest))]
    assert {point.params["maxDepth"] for point in points} == {3, 4, 5}
    assert {(point.params["impurity"], point.params["numTrees"]) for point in points} == {("gini", 5), ("entropy", 5)}
    assert len(points) == 6  # all there are, each once
