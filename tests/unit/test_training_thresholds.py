import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from lakeloop.training.decision.thresholds import best_threshold, exact_threshold
from lakeloop.training.metrics.binary import measure
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Costs, Yardstick

Rows = list[tuple[int, int]]


def tabulate(rows: Rows) -> ScoreTable:
    """A score table of (cell, label) rows."""
    counts = np.zeros((2, CELLS + 1), dtype=np.int64)
    for cell, label in rows:
        counts[label, cell] += 1
    return ScoreTable(counts[1], counts[0])


def test_the_cheapest_threshold_by_hand() -> None:
    # Scores 0.8+ 0.6- 0.4+ 0.2- 0.1-: a missed positive costs five false alarms, so 0.4 is called, and not 0.2.
    table = tabulate([(8000, 1), (6000, 0), (4000, 1), (2000, 0), (1000, 0)])
    assert best_threshold(table, "by_cost", Costs(1, 5)) == 0.3
    assert best_threshold(table, "by_cost", Costs(5, 1)) == 0.7
    assert best_threshold(table, "best_f1", None) == 0.3


def test_nothing_is_called_where_every_call_is_wrong_and_a_score_of_0_is_never_called() -> None:
    assert best_threshold(tabulate([(9000, 0), (9000, 0), (0, 1)]), "by_cost", Costs(1, 1)) == 0.95
    assert best_threshold(tabulate([(9000, 1), (4000, 1), (0, 0)]), "by_cost", Costs(0, 1)) == 0.2
    assert best_threshold(tabulate([(9000, 1), (1, 1)]), "best_f1", None) == 0


cells = st.integers(0, CELLS)
both_classes = st.tuples(st.lists(cells, min_size=1, max_size=40), st.lists(cells, min_size=1, max_size=40)).map(
    lambda sides: [(cell, 1) for cell in sides[0]] + [(cell, 0) for cell in sides[1]]
)


@given(both_classes, st.integers(0, 10), st.integers(1, 10))
def test_no_threshold_is_cheaper_or_has_a_better_f1(rows: Rows, false_positive: int, false_negative: int) -> None:
    table, costs = tabulate(rows), Costs(false_positive, false_negative)
    tried = sorted({cell + step for cell, _ in rows for step in (-1, 0, 1) if 0 <= cell + step <= CELLS} | {0, CELLS})

    def figures(threshold: float) -> tuple[float, float]:
        found = measure(table, 0, by=Yardstick(threshold, costs=costs))
        assert found.cost is not None
        return found.cost, found.f1

    everywhere = [figures(cell / CELLS) for cell in tried]
    assert figures(best_threshold(table, "by_cost", costs))[0] == min(cost for cost, _ in everywhere)
    assert figures(best_threshold(table, "best_f1", None))[1] == max(f1 for _, f1 in everywhere)


@given(cells, st.floats(0, 1), st.integers(-2, 2))
@example(51, 0.5, 0)  # 0.0051 * 10,000 is above 51
def test_a_score_is_above_a_threshold_exactly_where_its_cell_is(cell: int, score: float, steps: int) -> None:
    edge = exact_threshold(cell / CELLS)
    near = cell / CELLS
    for _ in range(abs(steps)):
        near = math.nextafter(near, math.copysign(2, steps))
    for tried in (score, min(max(near, 0), 1)):
        assert (tried > edge) == (math.ceil(tried * CELLS) > cell)
