"""Sections on a model: what is shown is what was measured, in the right order and with the right sign."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lakeloop.reports.model_sections import comparison_section, importance_section, quality_section, scores_section
from lakeloop.reports.page import Chart, render_page
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.metrics.binary import BinaryMetrics, measure
from lakeloop.training.metrics.measuring import SliceMetrics
from lakeloop.training.metrics.names import METRICS, Metric
from lakeloop.training.metrics.regression import RegressionMetrics
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Costs, Yardstick
from tests.model_files import measured

COSTLY = Yardstick(costs=Costs(1, 5))
GOOD = measured({0.9: 30, 0.6: 10, 0.2: 10}, {0.8: 5, 0.3: 45, 0.1: 100}, COSTLY)
WORSE = measured({0.9: 10, 0.4: 10, 0.2: 30}, {0.8: 25, 0.3: 75, 0.1: 50}, COSTLY)


def candidate(algorithm: str, *folds: float) -> CandidateScore:
    scores = tuple(dict.fromkeys(METRICS["binary"], value) for value in folds)
    return CandidateScore(GridPoint(algorithm, {"maxIter": 10}, "features"), scores, 1.26)


def result(*candidates: CandidateScore, select_by: Metric = "area_under_roc", test: BinaryMetrics = GOOD) -> Any:
    spec = SimpleNamespace(select_by=select_by)
    return SimpleNamespace(spec=spec, winner=candidates[0], candidates=candidates, test=test, rows_train=800)


def trace(chart: Chart, name: str) -> Any:
    (found,) = [trace for trace in chart.figure.data if (trace.name or "").startswith(name)]
    return found


def test_candidates_keep_their_rank_and_show_mean_deviation_and_every_fold() -> None:
    ranked = (candidate("gradient_boosted_trees", 0.8, 0.9), candidate("logistic_regression", 0.6, 0.8))
    section = comparison_section(result(*ranked), None)
    (table,) = section.tables
    assert table.columns[:4] == ("rank", "candidate", "area under ROC", "± std")
    assert [line[:4] for line in table.texts()] == [
        ["1", "gradient_boosted_trees(maxIter=10)", "0.85", "0.0707"],
        ["2", "logistic_regression(maxIter=10)", "0.70", "0.1414"],
    ]
    assert [line[-1] for line in table.texts()] == ["1.3", "1.3"]
    (chart,) = section.charts
    folds, means = trace(chart, "one fold"), trace(chart, "mean")
    assert list(zip(folds.y, folds.x, strict=True)) == [(0, 0.8), (0, 0.9), (1, 0.6), (1, 0.8)]
    assert list(means.x) == pytest.approx([0.85, 0.7])
    assert section.verdict is None


def test_the_metric_that_selects_stands_first_and_once() -> None:
    columns = (
        comparison_section(result(candidate("random_forest", 0.1, 0.2), select_by="log_loss"), None).tables[0].columns
    )
    assert columns[2] == "log loss"
    assert len(columns) == len(set(columns))


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_a_better_model_is_called_better_by_every_metric(metric: Metric) -> None:
    section = comparison_section(result(candidate("random_forest", 0.1, 0.2), select_by=metric), WORSE)
    assert section.verdict is not None
    assert section.verdict.holds
    assert " better than before" in section.verdict.text
    assert {line[3].split()[1] for line in section.tables[1].texts()} == {"better"}


def test_a_worse_model_is_called_worse() -> None:
    section = comparison_section(result(candidate("random_forest", 0.1, 0.2), test=WORSE), GOOD)
    assert section.verdict is not None
    assert not section.verdict.holds
    gain = GOOD.area_under_roc - WORSE.area_under_roc
    assert f"{gain:.4f} worse than before ({GOOD.area_under_roc:.4f})" in section.verdict.text


def test_the_same_model_is_not_different() -> None:
    section = comparison_section(result(candidate("random_forest", 0.1, 0.2)), GOOD)
    assert section.verdict is not None
    assert section.verdict.holds
    assert {line[3] for line in section.tables[1].texts()} == {"not different"}


def test_quality_shows_all_metrics_and_the_intervals() -> None:
    cards = {card.label: card for card in quality_section(GOOD).cards}
    assert len(cards) == len(METRICS["binary"])
    assert cards["area under ROC"].value == f"{GOOD.area_under_roc:.4f}"
    for label, name in (("area under ROC", "area_under_roc"), ("F1", "f1"), ("cost per row", "cost")):
        low, high = GOOD.intervals[name]
        assert cards[label].note == f"95%: {low:.3f} to {high:.3f}"


def test_figures_in_the_unit_of_a_large_label_are_shown_whole() -> None:
    intervals = {"rmse": (990.0, 31101.547), "r2": (0.84512, 0.90351)}
    test = RegressionMetrics(rows=938, r2=0.87789, rmse=27602.4484, mae=999.5, mape=0.1213, intervals=intervals)
    cards = {card.label: (card.value, card.note) for card in quality_section(test).cards}
    assert cards == {
        "R²": ("0.8779", "95%: 0.845 to 0.904"),
        "RMSE": ("27,602", "95%: 990.000 to 31,102"),
        "mean absolute error": ("999.5000", ""),
        "mean |error / label|": ("0.1213", ""),
    }
    prices = CandidateScore(GridPoint("random_forest", {}, "features", "regression"), (test.figures(),) * 2, 1.0)
    spec = SimpleNamespace(select_by="r2")
    trained: Any = SimpleNamespace(spec=spec, winner=prices, candidates=(prices,), test=test, rows_train=800)
    candidates, champions = comparison_section(trained, replace(test, rmse=30000.4)).tables
    assert candidates.texts()[0][4:7] == ["27,602", "999.5", "0.1213"]
    assert ["RMSE", "30,000", "27,602", "2,398 better"] in champions.texts()


def test_metrics_without_intervals_have_no_note() -> None:
    counts = np.zeros(CELLS + 1, dtype=np.int64)
    counts[[10, 9000]] = 5
    section = quality_section(measure(ScoreTable(counts, counts), resamples=0))
    assert {card.note for card in section.cards} == {""}


def test_curves_run_through_the_point_of_the_confusion_matrix() -> None:
    roc, precision_recall, *_ = quality_section(GOOD).charts
    chosen = trace(roc, "threshold")
    assert (chosen.x[0], chosen.y[0]) == (5 / 150, 40 / 50)
    curve = trace(roc, "model")
    assert (chosen.x[0], chosen.y[0]) in set(zip(curve.x, curve.y, strict=True))
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    chosen = trace(precision_recall, "threshold")
    assert (chosen.x[0], chosen.y[0]) == (40 / 50, 40 / 45)
    assert list(trace(precision_recall, "base rate").y) == [0.25, 0.25]


def test_confusion_matrix_has_counts_and_shares_of_the_actual_class() -> None:
    (cells,) = quality_section(GOOD).charts[2].figure.data
    shown = {
        (actual.split("<br>")[1], predicted.split()[1]): (cells.text[row][column], cells.z[row][column])
        for row, actual in enumerate(cells.y)
        for column, predicted in enumerate(cells.x)
    }
    assert shown == {
        ("positive", "positive"): ("40", 0.8),
        ("positive", "negative"): ("10", 0.2),
        ("negative", "negative"): ("145", 145 / 150),
        ("negative", "positive"): ("5", 5 / 150),
    }


def test_threshold_calibration_and_lift_are_shown_as_measured() -> None:
    found = measured({0.9: 30, 0.6: 10, 0.2: 10}, {0.8: 5, 0.3: 45, 0.1: 100}, Yardstick(threshold=0.25))
    section = quality_section(found)
    assert "hold for the threshold 0.25" in section.intro
    _, _, matrix, reliability, lift = section.charts
    assert matrix.caption == "Confusion matrix at the threshold 0.25"
    shown = trace(reliability, "model")
    assert list(shown.x) == pytest.approx([0.1, 0.2, 0.3, 0.6, 0.8, 0.9], abs=1e-4)
    assert list(shown.y) == [0, 1, 0, 1, 0, 1]
    assert list(shown.customdata) == [100, 10, 45, 10, 5, 30]
    # The first 30 of 200 rows are positive, and a quarter of all are.
    curve = trace(lift, "model")
    assert (curve.x[0], curve.y[0]) == (30 / 200, 4)
    assert (curve.x[-1], curve.y[-1]) == (1, 1)
    assert trace(lift, "model").name == "model, 4.00 in the first 10%"


def test_slices_stand_in_one_table_per_column_and_small_ones_are_marked() -> None:
    few = measured({0.9: 3}, {0.1: 4}, COSTLY)
    slices = [
        SliceMetrics("contract", "monthly", 200, GOOD),
        SliceMetrics("contract", None, 7, few),
        SliceMetrics("gender", "=f()", 50, None),
    ]
    contract, gender = quality_section(GOOD, slices).tables
    assert contract.columns[:4] == ("contract", "rows", "share positive", "area under ROC")
    assert [line[:3] for line in contract.texts()] == [["monthly", "200", "0.2500"], ["NULL", "7", "0.4286"]]
    assert [line[-1] for line in contract.texts()] == ["", "few rows"]
    assert gender.texts() == [["'=f()", "50", "few rows"]]


def test_importance_shows_the_fifteen_largest_and_adds_up_the_rest() -> None:
    importance = {f"column_{index:02}": index / 210 for index in range(1, 21)}
    section = importance_section(importance)
    (bars,) = section.charts[0].figure.data
    assert list(bars.x) == sorted(importance.values(), reverse=True)[:15]
    assert section.charts[0].figure.layout.annotations[0].text == "column_20  <b>9.5%</b>"
    assert section.intro.endswith("The 5 columns not shown add up to 7.1%.")
    assert "not shown" not in importance_section({"a": 0.6, "b": 0.4}).intro


def test_scores_keep_the_width_of_their_bins_and_the_order_of_the_examples() -> None:
    section = scores_section(
        [(0.0, 0.5, 1000), (0.5, 1.0, 234)], [{"id": "b", "score": 0.9}, {"id": "a", "score": 0.8}]
    )
    assert section.intro.startswith("1,234 rows were scored")
    (bars,) = section.charts[0].figure.data
    assert (list(bars.x), list(bars.width), list(bars.y)) == ([0.25, 0.75], [0.5, 0.5], [1000, 234])
    assert section.tables[0].texts() == [["b", "0.9"], ["a", "0.8"]]


def test_sections_without_anything_to_show_draw_nothing() -> None:
    sections = [importance_section({}), scores_section([], []), scores_section([(0.0, 1.0, 0)], [])]
    assert not any(section.charts for section in sections)
    assert "No row was scored." in render_page("Report", "", sections)
