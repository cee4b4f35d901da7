"""Candidates proposed from how those before did: optuna's tree-structured Parzen estimator (Bergstra et al. 2011)."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from math import isnan
from typing import TYPE_CHECKING, Any

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.cross_validation.candidate_scores import CandidateScore, Progress, measured
from lakeloop.training.cross_validation.kept_folds import KeptFold, kept_folds
from lakeloop.training.folds.dealing import folds_of
from lakeloop.training.metrics.names import LOWER_IS_BETTER
from lakeloop.training.search.drawing import short
from lakeloop.training.spec.candidates import Choices
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.spec.search import Range

if TYPE_CHECKING:  # optuna is an extra
    from optuna import Study, Trial


def search_bayesian(
    spec: ModelSpec, rows: DataFrame, progress: Progress, parallelism: int
) -> tuple[CandidateScore, ...]:
    """The score of each candidate that was proposed, in that order, on all folds.

    `parallelism` candidates are proposed at a time, then measured together. One that is proposed again is not measured
    again. The stages that candidates share are fitted once per fold, and their rows stay cached, for the whole search.
    Raises TrainingError where optuna is not installed.
    """
    study, trials, folds = _study(spec), spec.search.most_trials, folds_of(spec, rows)
    scores: dict[str, CandidateScore] = {}
    done = count(1)
    pool = ThreadPoolExecutor(max(parallelism, 1))
    try:
        with kept_folds(spec, folds) as kept:
            for first in range(0, trials, max(parallelism, 1)):
                batch = [study.ask() for _ in range(min(max(parallelism, 1), trials - first))]
                asked = [_proposed(trial, spec) for trial in batch]
                new = {str(point): point for point in asked if str(point) not in scores}

                def tell(point: GridPoint, fold: int) -> None:
                    progress(next(done), trials * len(folds), f"fold {fold + 1}/{len(folds)}: {point}")

                for score in _measured_together(spec, list(new.values()), kept, pool, tell):
                    scores[str(score.point)] = score
                for trial, point in zip(batch, asked, strict=True):
                    _tell(study, trial, scores[str(point)].mean[spec.select_by])
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(scores.values())


def _measured_together(
    spec: ModelSpec,
    points: list[GridPoint],
    kept: list[KeptFold],
    pool: ThreadPoolExecutor,
    tell: Callable[[GridPoint, int], None],
) -> list[CandidateScore]:
    in_thread = inheritable_thread_target(lambda leaf: measured(spec, leaf))
    fits = [[pool.submit(in_thread, fold.leaf(point)) for fold in kept] for point in points]
    scores = []
    for point, of_point in zip(points, fits, strict=True):
        said = []
        for fold, fit in enumerate(of_point):
            said.append(fit.result())
            tell(point, fold)
        scores.append(CandidateScore.of(point, said))
    return scores


def _study(spec: ModelSpec) -> "Study":
    try:
        import optuna
    except ImportError as error:
        raise TrainingError(
            f"model {spec.model}: search.kind bayesian needs optuna, which is not installed; "
            "pip install 'lakeloop[tuning]', or say kind: random"
        ) from error
    logging.getLogger("optuna").setLevel(logging.WARNING)  # it tells each study on standard error
    return optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=spec.search.seed),
        direction="minimize" if spec.select_by in LOWER_IS_BETTER else "maximize",
    )


def _proposed(trial: "Trial", spec: ModelSpec) -> GridPoint:
    every = range(len(spec.candidates))
    at = trial.suggest_categorical("candidate", list(every)) if len(every) > 1 else 0
    candidate = spec.candidates[at]
    params = {name: _suggested(trial, f"{at}.{name}", of) for name, of in candidate.choices.items()}
    return candidate.point(params, spec.task)


def _suggested(trial: "Trial", name: str, of: Choices) -> Any:
    if not isinstance(of, Range):
        return of[trial.suggest_categorical(name, range(len(of)))]  # values may be lists, which optuna keeps none of
    if isinstance(of.low, int) and isinstance(of.high, int):
        return trial.suggest_int(name, of.low, of.high, log=of.log)
    return short(trial.suggest_float(name, of.low, of.high, log=of.log), of)


def _tell(study: "Study", trial: "Trial", mean: float) -> None:
    from optuna.trial import TrialState

    if isnan(mean):  # a metric that is not defined here tells nothing
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, mean)
