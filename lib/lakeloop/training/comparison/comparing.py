"""Every candidate beside the best one: what the folds can tell apart, and who is on the front."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lakeloop.training.comparison.paired_test import (
    Interval,
    PairedTest,
    holm,
    mean_interval,
    measured_share,
    paired_test,
)
from lakeloop.training.comparison.pareto import pareto_front
from lakeloop.training.comparison.selection import within_one_standard_error
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.metrics.names import Metric, loss
from lakeloop.training.spec.model import ModelSpec

ALPHA = 0.05


@dataclass(frozen=True)
class Compared:
    """One candidate beside the best: `test` is its metric less the best's, None of the best itself and of stopped ones.

    `p` is corrected for the number of candidates. `interval` is that of its own mean. `is_on_front` says that none is
    as good in quality, speed and size and better in one of them; `is_near` that it is within one standard error.
    """

    score: CandidateScore
    interval: Interval | None
    test: PairedTest | None
    p: float | None
    verdict: str
    is_on_front: bool
    is_near: bool


@dataclass(frozen=True)
class Comparison:
    """All candidates, best first, by the metric that selects."""

    metric: Metric
    candidates: tuple[Compared, ...]

    @property
    def alike(self) -> int:
        """How many candidates cannot be told apart from the best."""
        return sum(each.p is not None and each.p >= ALPHA for each in self.candidates)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values, candidates by their text."""
        return {
            "metric": self.metric,
            "candidates": [
                {
                    "candidate": str(each.score.point),
                    "mean": each.score.mean[self.metric],
                    "interval": each.interval,
                    "difference": None if each.test is None else asdict(each.test),
                    "p": each.p,
                    "verdict": each.verdict,
                    "is_on_front": each.is_on_front,
                    "is_near": each.is_near,
                }
                for each in self.candidates
            ],
        }


def compare(spec: ModelSpec, ranked: Sequence[CandidateScore]) -> Comparison:
    """Test each candidate of `ranked`, best first, against the first one over the same folds.

    The best one was found on these folds, so the tests lean towards it: "worse" is said somewhat too often. Speed is
    compared to one digit, as it is no more exact than that. A model of unknown size is not on the front.
    """
    metric, share = spec.select_by, measured_share(spec.folds)
    values = [[fold[metric] for fold in score.folds] for score in ranked]
    tests = [
        None if at == 0 or score.stopped else paired_test(values[at], values[0], share)
        for at, score in enumerate(ranked)
    ]
    adjusted = iter(holm([test.p for test in tests if test is not None]))
    ps = [None if test is None else next(adjusted) for test in tests]
    near = within_one_standard_error(ranked, metric)
    front = _front(ranked, metric)
    return Comparison(
        metric,
        tuple(
            Compared(
                score,
                mean_interval(of_score, share),
                test,
                p,
                _verdict(score, score is ranked[0], p, len(values[0])),
                is_on_front=score in front,
                is_near=score in near,
            )
            for score, of_score, test, p in zip(ranked, values, tests, ps, strict=True)
        ),
    )


def _front(ranked: Sequence[CandidateScore], metric: Metric) -> list[CandidateScore]:
    costs = {
        at: (loss(metric, score.mean[metric]), float(f"{score.scoring_seconds:.1g}"), score.numbers)
        for at, score in enumerate(ranked)
        if not score.stopped and score.scoring_seconds is not None and score.numbers is not None
    }
    return [ranked[at] for at, is_on in zip(costs, pareto_front(list(costs.values())), strict=True) if is_on]


def _verdict(score: CandidateScore, is_best: bool, p: float | None, folds: int) -> str:
    if is_best:
        return "best mean"
    if score.stopped:
        return f"given up after {len(score.folds)} of {folds} folds"
    if p is None:
        return "cannot be compared"
    return "worse than the best" if p < ALPHA else "cannot be told apart from the best"
