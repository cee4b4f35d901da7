"""Whether the folds tell two candidates apart: the corrected resampled t-test.

Folds share most of the rows that they train with, so their results are not independent, and the plain paired t-test
finds differences where there are none. The correction (Nadeau & Bengio 2003, "Inference for the Generalization Error",
Machine Learning 52) puts 1/n + (test rows / training rows) in place of 1/n before the variance of the n differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt
from statistics import fmean, variance

from scipy.special import stdtr, stdtrit

from lakeloop.training.spec.splits import Folds

LEVEL = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedTest:
    """The mean difference over the folds, its 95 % interval, and the two-sided p value of no difference."""

    effect: float
    interval: Interval
    p: float


def paired_test(first: Sequence[float], second: Sequence[float], share: float) -> PairedTest | None:
    """Test `first` less `second`, the same metric on the same folds.

    `share` is (rows that measure) / (rows that train); at 0 this is the plain paired t-test. None of fewer than two
    folds, or where one of them has no value (NaN): then nothing can be said. Differences that are all the same leave no
    doubt: p is 1 where they are 0, and 0 otherwise.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    if len(differences) < 2 or any(map(isnan, differences)):
        return None
    effect, error = fmean(differences), _standard_error(differences, share)
    freedom = len(differences) - 1
    t = abs(effect) / error if error else (inf if effect else 0.0)
    margin = _margin(error, freedom)
    return PairedTest(effect, (effect - margin, effect + margin), float(2 * stdtr(freedom, -t)))


def mean_interval(values: Sequence[float], share: float) -> Interval | None:
    """The 95 % interval of the mean over the folds with the same correction; None as of `paired_test`."""
    if len(values) < 2 or any(map(isnan, values)):
        return None
    mean, margin = fmean(values), _margin(_standard_error(values, share), len(values) - 1)
    return mean - margin, mean + margin


def measured_share(folds: Folds) -> float:
    """(Rows that measure) / (rows that train) of folds of one size, by time the mean of 1, 1/2, 1/3 and so on."""
    if folds.kind == "time":
        return fmean(1 / blocks for blocks in range(1, folds.count + 1))
    return 1 / (folds.count - 1)


def holm(ps: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979): the k-th smallest of m times m - k + 1, ascending, at most 1."""
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = max(least, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = least
    return adjusted


def _standard_error(values: Sequence[float], share: float) -> float:
    return sqrt((1 / len(values) + share) * variance(values))


def _margin(error: float, freedom: int) -> float:
    return float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
