"""Successive Halving on losses known beforehand."""

from collections.abc import Sequence
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from lakeloop.training.search.halving import Rung, halve, halving_fits, rungs

losses = st.integers(1, 9).flatmap(
    lambda folds: st.lists(st.lists(st.floats(-9, 9), min_size=folds, max_size=folds), min_size=1, max_size=40)
)


def run(table: Sequence[Sequence[float]]) -> tuple[list[list[float]], int]:
    """What a search finds of the losses per candidate and fold, and how many of them it asked for."""
    asked = 0

    def measure(alive: Sequence[int], folds: range) -> list[dict[int, float]]:
        nonlocal asked
        asked += len(alive) * len(folds)
        return [{candidate: table[candidate][fold] for candidate in alive} for fold in folds]

    return halve(len(table), len(table[0]), measure, fmean), asked


def test_half_go_on_after_one_two_and_four_folds() -> None:
    assert rungs(30, 5) == (Rung(30, 0, 1), Rung(15, 1, 2), Rung(8, 2, 4), Rung(4, 4, 5))
    assert halving_fits(30, 5) == 30 * 1 + 15 * 1 + 8 * 2 + 4 * 1 == 65
    assert rungs(3, 6) == (Rung(3, 0, 1), Rung(2, 1, 2), Rung(2, 2, 4), Rung(2, 4, 6))
    assert rungs(1, 2) == (Rung(1, 0, 1), Rung(1, 1, 2))


def test_the_worse_half_is_given_up_and_of_two_alike_the_later_one() -> None:
    found, asked = run([[3.0, 1.0, 1.0], [1.0, 9.0, 9.0], [1.0, 2.0, 2.0], [1.0, 0.0, 0.0]])
    # After one fold 1, 2 and 3 are alike, and two of them may stay.
    assert found == [[3.0], [1.0, 9.0, 9.0], [1.0, 2.0, 2.0], [1.0]]
    assert asked == halving_fits(4, 3) == 4 + 2 + 2


@given(losses)
def test_fits_are_as_foretold_and_the_winner_is_the_best_survivor(table: list[list[float]]) -> None:
    folds = len(table[0])
    found, asked = run(table)
    assert asked == halving_fits(len(table), folds)
    assert all(mine == table[candidate][: len(mine)] for candidate, mine in enumerate(found))
    survivors = [candidate for candidate, mine in enumerate(found) if len(mine) == folds]
    assert len(survivors) == rungs(len(table), folds)[-1].candidates
    assert len(survivors) >= min(2, len(table))
    for rung in rungs(len(table), folds)[1:]:
        seen = {c: fmean(table[c][: rung.first]) for c in range(len(table)) if len(found[c]) >= rung.first}
        stayed = {c for c in seen if len(found[c]) > rung.first}
        # Whoever went on was no worse than anybody who was given up, on all folds that both had seen.
        assert max(seen[c] for c in stayed) <= min((seen[c] for c in seen if c not in stayed), default=float("inf"))


@given(losses)
def test_one_that_is_best_on_every_fold_wins(table: list[list[float]]) -> None:
    champion = [min(column) - 1 for column in zip(*table, strict=True)]
    found, _ = run([*table, champion])
    assert found[-1] == champion
