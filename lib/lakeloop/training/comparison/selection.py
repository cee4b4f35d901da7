"""Which candidate becomes the model: the best, or the smallest of those as good but for the noise of the folds."""

from collections.abc import Sequence
from math import inf, sqrt

from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.metrics.names import Metric, loss
from lakeloop.training.spec.model import ModelSpec


def best_first(scores: Sequence[CandidateScore], metric: Metric) -> tuple[CandidateScore, ...]:
    """By their means; those that were given up come last, the sooner the later."""
    return tuple(
        sorted(
            scores,
            key=lambda score: (score.stopped, -len(score.folds) if score.stopped else 0, _loss(score, metric)),
        )
    )


def selected(spec: ModelSpec, ranked: Sequence[CandidateScore]) -> CandidateScore:
    """The winner among candidates that stand best first, by the rule that the model file declares."""
    if spec.select == "best":
        return ranked[0]
    near = within_one_standard_error(ranked, spec.select_by)
    return min(near, key=lambda score: inf if score.numbers is None else score.numbers)


def within_one_standard_error(ranked: Sequence[CandidateScore], metric: Metric) -> tuple[CandidateScore, ...]:
    """Those whose mean is no further from the best mean than the standard error of it (Breiman et al. 1984, 3.4.3).

    The standard error is the deviation of the best candidate over the folds by the root of their number. The order is
    kept, so that of two of one size the better one is the first.
    """
    best = ranked[0]
    limit = _loss(best, metric) + standard_error(best, metric)
    return tuple(score for score in ranked if score is best or (not score.stopped and _loss(score, metric) <= limit))


def standard_error(score: CandidateScore, metric: Metric) -> float:
    """Of the mean over the folds."""
    return score.std[metric] / sqrt(len(score.folds))


def _loss(score: CandidateScore, metric: Metric) -> float:
    return loss(metric, score.mean[metric])
