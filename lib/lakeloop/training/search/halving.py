"""Successive Halving: after 1, 2, 4, 8 … folds the worse half of the candidates is given up.

The method is that of Jamieson & Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization". What is rationed here is folds, not rows. Candidates are compared on the very same rows, so that an easy
fold favours nobody; no fit is thrown away, since a survivor keeps its folds; and what candidates share is fitted once a
fold, as without halving. Shares of the rows would be fitted and thrown away at every step, and favour what learns from
few.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

FINALISTS = 2  # the comparison at the end needs two
T = TypeVar("T")


@dataclass(frozen=True)
class Rung:
    """`candidates` are measured on the folds from `first` to before `end`."""

    candidates: int
    first: int
    end: int


def rungs(candidates: int, folds: int) -> tuple[Rung, ...]:
    """The steps of a search: `end` is 1, 2, 4 … and at last `folds`; half go on, rounded up, and never less than two.

    Of 30 candidates on 5 folds, 30 see the first, 15 the second, 8 two more, 4 the last: 65 fits in place of 150.
    """
    steps: list[Rung] = []
    first, end = 0, 1
    while first < folds:
        steps.append(Rung(candidates, first, end))
        first, end = end, min(2 * end, folds)
        candidates = max(-(-candidates // 2), min(candidates, FINALISTS))
    return tuple(steps)


def halving_fits(candidates: int, folds: int) -> int:
    """How many fits a search takes: the sum over its rungs of candidates × folds."""
    return sum(rung.candidates * (rung.end - rung.first) for rung in rungs(candidates, folds))


def halve(
    candidates: int,
    folds: int,
    measure: Callable[[Sequence[int], range], Sequence[Mapping[int, T]]],
    loss: Callable[[Sequence[T]], float],
) -> list[list[T]]:
    """What was measured of each candidate, fold by fold; those with all `folds` have survived.

    `measure(candidates, folds)` gives a mapping by candidate for each of these folds. `loss` of what a candidate has
    so far is least for the best; of two alike the earlier candidate stays.
    """
    found: list[list[T]] = [[] for _ in range(candidates)]
    alive = list(range(candidates))
    for rung in rungs(candidates, folds):
        alive = sorted(alive, key=lambda candidate: loss(found[candidate]))[: rung.candidates] if rung.first else alive
        alive.sort()
        for fold in measure(alive, range(rung.first, rung.end)):
            for candidate in alive:
                found[candidate].append(fold[candidate])
    return found
