import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.binary import measure
from lakeloop.training.metrics.binary_figures import binary_figures
from lakeloop.training.metrics.names import METRICS
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Costs, Yardstick

Rows = list[tuple[int, int]]


def tabulate(rows: Rows) -> ScoreTable:
    """A score table of (cell, label) rows."""
    by_class = [np.array([cell for cell, label in rows if label == wanted], dtype=int) for wanted in (0, 1)]
    negatives, positives = (np.bincount(cells, minlength=CELLS + 1) for cells in by_class)
    return ScoreTable(positives=positives, negatives=negatives)


cells = st.integers(0, 100)
both_classes = st.tuples(st.lists(cells, min_size=1, max_size=60), st.lists(cells, min_size=1, max_size=60)).map(
    lambda sides: [(cell, 1) for cell in sides[0]] + [(cell, 0) for cell in sides[1]]
)


def area(rows: Rows) -> float:
    return measure(tabulate(rows), resamples=0).area_under_roc


def test_four_rows_by_hand() -> None:
    # Scores 0.9+ 0.6- 0.5+ 0.2-: three of four pairs in order; 0.5 itself is not called positive.
    found = measure(tabulate([(9000, 1), (6000, 0), (5000, 1), (2000, 0)]), resamples=0)
    assert (found.true_positives, found.false_positives, found.true_negatives, found.false_negatives) == (1, 1, 1, 1)
    assert found.area_under_roc == 0.75
    assert found.area_under_pr == pytest.approx((1 + 2 / 3) / 2)
    assert (found.accuracy, found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5, 0.5)
    assert found.brier == pytest.approx((0.1**2 + 0.6**2 + 0.5**2 + 0.2**2) / 4, abs=1e-4)
    assert [point[1:3] for point in found.curve] == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert [point.precision for point in found.curve] == pytest.approx([1, 1, 1 / 2, 2 / 3, 1 / 2])


def test_the_threshold_of_a_curve_point_gives_its_recall() -> None:
    found = measure(tabulate([(9000, 1), (9000, 1), (6000, 0), (5000, 1), (0, 0)]), resamples=0)
    assert [point.threshold for point in found.curve] == pytest.approx([1, 0.8999, 0.5999, 0.4999, 0])


def test_precision_is_0_where_nothing_is_called_positive() -> None:
    found = measure(tabulate([(100, 1), (50, 0)]), resamples=0)
    assert (found.precision, found.recall, found.f1, found.accuracy) == (0, 0, 0, 0.5)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_metrics(label: int) -> None:
    with pytest.raises(TrainingError, match="both classes"):
        measure(tabulate([(10, label), (20, label)]))


@pytest.mark.parametrize("rows", [50, 3000])
def test_agrees_with_scikit_learn(rows: int) -> None:
    draw = np.random.default_rng(rows)
    labels = (draw.random(rows) < 0.3).astype(int)
    scores = np.clip(draw.normal(0.35 + 0.2 * labels, 0.2), 0.001, 0.999)
    found = measure(tabulate(list(zip(np.ceil(scores * CELLS).astype(int).tolist(), labels.tolist(), strict=True))), 0)
    called = scores > 0.5
    # Curves and scores move with ties inside a cell of 1e-4; counts at 0.5 are exact.
    assert found.area_under_roc == pytest.approx(sk.roc_auc_score(labels, scores), abs=2e-4)
    assert found.area_under_pr == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-3)
    assert found.log_loss == pytest.approx(sk.log_loss(labels, scores), abs=1e-3)
    assert found.brier == pytest.approx(sk.brier_score_loss(labels, scores), abs=1e-4)
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, called))
    assert found.precision == pytest.approx(sk.precision_score(labels, called))
    assert found.recall == pytest.approx(sk.recall_score(labels, called))
    assert found.f1 == pytest.approx(sk.f1_score(labels, called))
    confusion = [[found.true_negatives, found.false_positives], [found.false_negatives, found.true_positives]]
    assert confusion == sk.confusion_matrix(labels, called).tolist()


@pytest.mark.parametrize(("threshold", "beta"), [(0.5, 2.0), (0.3, 0.5)])
def test_figures_at_a_threshold_agree_with_scikit_learn(threshold: float, beta: float) -> None:
    draw = np.random.default_rng(7)
    labels = (draw.random(2000) < 0.1).astype(int)
    scores = np.clip(draw.normal(0.3 + 0.2 * labels, 0.15), 0.001, 0.999)
    rows = list(zip(np.ceil(scores * CELLS).astype(int).tolist(), labels.tolist(), strict=True))
    found = measure(tabulate(rows), 0, by=Yardstick(threshold, beta, costs=Costs(1, 5)))
    called = scores > threshold
    assert found.mcc == pytest.approx(sk.matthews_corrcoef(labels, called))
    assert found.f_beta == pytest.approx(sk.fbeta_score(labels, called, beta=beta))
    assert found.f1 == pytest.approx(sk.f1_score(labels, called))
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, called))
    (_, fp), (fn, _) = sk.confusion_matrix(labels, called)
    assert found.cost == pytest.approx((fp + 5 * fn) / 2000)


def test_reliability_is_the_calibration_curve_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    scores = draw.random(4000)
    labels = (draw.random(4000) < scores**2).astype(int)
    rows = zip(np.ceil(scores * CELLS).astype(int).tolist(), labels.tolist(), strict=True)
    found = measure(tabulate(list(rows)), 0)
    shares, means = calibration_curve(labels, scores, n_bins=10)
    assert [point.positive_share for point in found.reliability] == pytest.approx(shares.tolist())
    assert [point.mean_score for point in found.reliability] == pytest.approx(means.tolist(), abs=1e-4)
    counts = np.array([point.rows for point in found.reliability])
    expected = (counts * np.abs(shares - means)).sum() / 4000
    assert found.expected_calibration_error == pytest.approx(expected, abs=1e-4)
    assert found.expected_calibration_error > 0.1


def test_lift_by_hand_takes_a_share_of_the_cell_on_the_border() -> None:
    # Of 20 rows, 4 positive, the first tenth are two: one alone in its cell, and one of four tied ones, 3 positive.
    rows = [(9000, 1), (8000, 1), (8000, 1), (8000, 1), (8000, 0), *((100, 0),) * 15]
    assert measure(tabulate(rows), 0).lift == pytest.approx((1 + 3 / 4) / 2 / (4 / 20))
    assert measure(tabulate(rows), 0, by=Yardstick(top=0.5)).lift == pytest.approx(4 / 10 / (4 / 20))


def test_costs_are_none_where_none_are_declared_and_mcc_is_0_where_one_class_is_called() -> None:
    found = measure(tabulate([(100, 1), (50, 0)]), resamples=10)
    assert found.cost is None
    assert "cost" not in found.figures()
    assert (found.mcc, found.f_beta) == (0, 0)
    priced = measure(tabulate([(100, 1), (50, 0), (9000, 0)]), 0, by=Yardstick(costs=Costs(2, 10)))
    assert priced.cost == pytest.approx(12 / 3)
    assert list(priced.figures()) == list(METRICS["binary"])


@given(both_classes)
def test_a_draw_is_measured_as_if_it_were_alone(rows: Rows) -> None:
    table = tabulate(rows)
    used = np.flatnonzero(table.rows)[::-1]
    pos, neg, by = table.positives[used], table.negatives[used], Yardstick(0.005, costs=Costs(1, 5))
    together = binary_figures(used, np.stack([pos, pos * 2]), np.stack([neg, neg * 2]), by)
    for name, value in binary_figures(used, pos, neg, by).items():
        assert together[name] == pytest.approx([float(value)] * 2)


@given(both_classes)
def test_area_under_roc_depends_on_the_order_of_scores_only(rows: Rows) -> None:
    assert 0 <= area(rows) <= 1
    assert area([(cell * cell, label) for cell, label in rows]) == pytest.approx(area(rows))


@given(both_classes)
def test_swapped_labels_mirror_the_area(rows: Rows) -> None:
    assert area([(cell, 1 - label) for cell, label in rows]) == pytest.approx(1 - area(rows))


@given(both_classes, cells)
def test_constant_scores_have_half_the_area(rows: Rows, cell: int) -> None:
    assert area([(cell, label) for _, label in rows]) == 0.5


@given(both_classes)
def test_the_curve_rises_to_its_end(rows: Rows) -> None:
    curve = measure(tabulate(rows), resamples=0).curve
    assert curve[0][:3] == (1.0, 0.0, 0.0)
    assert curve[-1][1:3] == (1.0, 1.0)
    assert list(curve) == sorted(curve, key=lambda point: (point.false_positive_rate, point.recall))


def test_the_curve_is_thinned() -> None:
    draw = np.random.default_rng(0)
    curve = measure(tabulate([(int(cell), int(cell) % 2) for cell in draw.integers(1, CELLS, 20_000)]), 0).curve
    assert 190 <= len(curve) <= 202


def test_intervals_hold_the_figure_narrow_with_rows_and_repeat_with_the_seed() -> None:
    few = [(cell, int(cell % 3 == 0)) for cell in range(1, 200)] + [(9000, 1)] * 20
    table, larger = tabulate(few), tabulate(few * 16)
    found, again, other, narrow = (
        measure(table, 200, 1),
        measure(table, 200, 1),
        measure(table, 200, 2),
        measure(larger),
    )
    assert found.intervals.keys() == found.figures().keys()
    for name, value in found.figures().items():
        low, high = found.intervals[name]
        assert low <= value <= high
        assert narrow.intervals[name][1] - narrow.intervals[name][0] <= (high - low) / 2
    assert found.to_dict() == again.to_dict()
    assert found.intervals["area_under_roc"] != other.intervals["area_under_roc"]
    # Sixteen times the rows: a quarter of the width.
    (low, high), (lower, upper) = found.intervals["area_under_roc"], narrow.intervals["area_under_roc"]
    assert upper - lower == pytest.approx((high - low) / 4, rel=0.3)


def test_to_dict_is_plain() -> None:
    found = measure(tabulate([(9000, 1), (100, 0)])).to_dict()
    assert found["rows"] == 2
    assert found["curve"][0] == {"threshold": 1.0, "false_positive_rate": 0.0, "recall": 0.0, "precision": 1.0}
