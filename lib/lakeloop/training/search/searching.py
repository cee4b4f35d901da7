"""The search that a model file declares, whatever its kind."""

from collections.abc import Mapping, Sequence
from itertools import count

from pyspark.sql import DataFrame

from lakeloop.training.algorithms import GridPoint
from lakeloop.training.cross_validation.candidate_scores import (
    CandidateScore,
    Measured,
    Progress,
    cross_validate,
    measure_folds,
)
from lakeloop.training.folds.dealing import folds_of
from lakeloop.training.metrics.names import loss
from lakeloop.training.search.bayesian import search_bayesian
from lakeloop.training.search.drawing import draw_points
from lakeloop.training.search.halving import halve, halving_fits
from lakeloop.training.spec.model import ModelSpec


def search(spec: ModelSpec, rows: DataFrame, progress: Progress, parallelism: int = 2) -> tuple[CandidateScore, ...]:
    """The score of every candidate that was tried, in the order of the trials.

    `rows` has the features, `_label` and what `deal_folds` adds, and should be persisted. The same rows, seeds and
    `parallelism` give the same candidates. Raises TrainingError where a bayesian search lacks optuna.
    """
    if spec.search.kind == "bayesian":
        return search_bayesian(spec, rows, progress, parallelism)
    points = _points(spec)
    if spec.search.halving:
        return _halved(spec, points, rows, progress, parallelism)
    return cross_validate(spec, points, rows, progress, parallelism)


def most_fits(spec: ModelSpec) -> int:
    """How many fits `search` takes; of a bayesian search the most, since a trial proposed twice is fitted once."""
    folds = spec.folds.count * spec.folds.repeats
    if spec.search.kind == "bayesian":
        return spec.search.most_trials * folds
    points = len(_points(spec))
    return halving_fits(points, folds) if spec.search.halving else points * folds


def _points(spec: ModelSpec) -> tuple[GridPoint, ...]:
    return spec.points() if spec.search.kind == "grid" else draw_points(spec)


def _halved(
    spec: ModelSpec, points: Sequence[GridPoint], rows: DataFrame, progress: Progress, parallelism: int
) -> tuple[CandidateScore, ...]:
    folds = folds_of(spec, rows)
    done, total = count(1), halving_fits(len(points), len(folds))

    def measure(alive: Sequence[int], of: range) -> list[Mapping[int, Measured]]:
        def tell(fold: int, candidate: int) -> None:
            at = f"fold {of[fold] + 1}/{len(folds)}, {len(alive)} candidates left"
            progress(next(done), total, f"{at}: {points[alive[candidate]]}")

        tried = [points[candidate] for candidate in alive]
        found = measure_folds(spec, tried, [folds[fold] for fold in of], parallelism, tell)
        return [{alive[candidate]: said for candidate, said in fold.items()} for fold in found]

    def mean_loss(said: Sequence[Measured]) -> float:
        return loss(spec.select_by, sum(each.figures[spec.select_by] for each in said) / len(said))

    found = halve(len(points), len(folds), measure, mean_loss)
    return tuple(
        CandidateScore.of(point, said, stopped=len(said) < len(folds))
        for point, said in zip(points, found, strict=True)
    )
