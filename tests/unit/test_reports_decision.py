"""The section on a decision: calibration before and after on both sides, and the curve that the threshold is on."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lakeloop.reports.model_decision import decision_section, said_of_decision
from lakeloop.reports.page import Section, render_page
from lakeloop.training.decision.calibrating import Platt
from lakeloop.training.decision.rule import DecisionRule
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.yardstick import Costs, Yardstick
from tests.model_files import measured, model_spec

COSTS = Costs(false_positive=1, false_negative=5)
BY_COST = {"calibrate": "platt", "threshold": "by_cost", "costs": COSTS._asdict()}


def scored(high: float, low: float, threshold: float = 0.5) -> BinaryMetrics:
    """100 rows with two scores: 40 of the higher, half of them positive, and 60 of the lower, five."""
    return measured({high: 20, low: 5}, {high: 20, low: 55}, Yardstick(threshold, costs=COSTS), resamples=0)


BEFORE, AFTER = scored(0.8, 0.3), scored(0.5, 0.0833, threshold=0.2916)
HELD_OUT_BEFORE, HELD_OUT = scored(0.7, 0.3), scored(0.45, 0.0933, threshold=0.2916)
RULE = DecisionRule("probability", Platt(0.9, -1.2), 0.2916, BEFORE, AFTER)


def result(declared: dict[str, Any] | None, /, **changes: Any) -> Any:
    found = {"decision": RULE, "test": HELD_OUT, "uncalibrated": HELD_OUT_BEFORE} | changes
    return SimpleNamespace(spec=model_spec(decision=declared), **found)


def section_of(declared: dict[str, Any], /, **changes: Any) -> Section:
    section = decision_section(result(declared, **changes))
    assert section is not None
    return section


CALIBRATED = section_of(BY_COST)


def test_reliability_before_and_after_is_drawn_for_both_sides() -> None:
    out_of_fold, held_out, _ = CALIBRATED.charts
    assert (out_of_fold.caption, held_out.caption) == ("Calibration, out of fold", "Calibration, held-out rows")
    for chart, before, after in ((out_of_fold, BEFORE, AFTER), (held_out, HELD_OUT_BEFORE, HELD_OUT)):
        _, *drawn = chart.figure.data
        assert [trace.name.split(",")[0] for trace in drawn] == ["before", "calibrated"]
        for trace, metrics in zip(drawn, (before, after), strict=True):
            assert f"{metrics.expected_calibration_error:.4f}" in trace.name
            assert list(trace.x) == [point.mean_score for point in metrics.reliability]
            assert list(trace.y) == pytest.approx([5 / 60, 0.5])
            assert list(trace.customdata) == [60, 40]
            assert trace.marker.size[0] > trace.marker.size[1]  # more rows, larger


def test_bins_stand_in_a_line_of_their_tenth() -> None:
    out_of_fold, held_out = CALIBRATED.tables
    assert out_of_fold.caption == "Scores and shares of positives, out of fold"
    # A score counts as the middle of its cell, half of 1e-4 lower.
    assert [list(line) for line in out_of_fold.rows] == [
        ["0.0\u00a0to\u00a00.1", 0, None, None, 60, pytest.approx(0.08325), pytest.approx(5 / 60)],
        ["0.2\u00a0to\u00a00.3", 60, pytest.approx(0.29995), pytest.approx(5 / 60), 0, None, None],
        ["0.4\u00a0to\u00a00.5", 0, None, None, 40, pytest.approx(0.49995), 0.5],
        ["0.7\u00a0to\u00a00.8", 40, pytest.approx(0.79995), 0.5, 0, None, None],
    ]
    assert [line[0] for line in held_out.texts()] == [
        "0.0\u00a0to\u00a00.1",
        "0.2\u00a0to\u00a00.3",
        "0.4\u00a0to\u00a00.5",
        "0.6\u00a0to\u00a00.7",
    ]


def test_the_curve_of_costs_has_the_threshold_on_it() -> None:
    chart = CALIBRATED.charts[2]
    assert chart.caption == "Cost per row by threshold"
    held_out, out_of_fold, chosen = chart.figure.data
    assert (held_out.name, out_of_fold.name, chosen.name) == ("held-out rows", "out of fold", "threshold 0.2916")
    assert list(out_of_fold.x) == [1.0, 0.4999, 0.0832]
    assert list(out_of_fold.y) == pytest.approx([1.25, 0.45, 0.75])
    assert (list(chosen.x), list(chosen.y)) == ([0.2916], [0.45])
    # Nothing happens above the highest score: the axis ends a tenth beyond it.
    assert chart.figure.layout.xaxis.range[1] == pytest.approx(0.4999 * 1.1)


def test_f1_is_drawn_where_no_costs_decide() -> None:
    for decision in ({"threshold": "best_f1", "costs": {"false_positive": 1, "false_negative": 5}}, {"threshold": 0.4}):
        rule = DecisionRule("probability", None, 0.4, BEFORE, scored(0.8, 0.3, threshold=0.4))
        section = section_of(decision, decision=rule, test=rule.after, uncalibrated=None)
        (chart,) = section.charts
        assert chart.caption == "F1 by threshold"
        assert list(chart.figure.data[1].y) == pytest.approx([0, 40 / 65, 50 / 125])
        assert list(chart.figure.data[2].y) == pytest.approx([40 / 65])
        assert not section.tables
        assert "Scores are not calibrated." in section.intro
        assert ("out of fold" in section.intro) is (decision["threshold"] == "best_f1")


def test_the_words_say_rule_costs_and_errors() -> None:
    said = said_of_decision(result(BY_COST))
    assert said == (
        "Rows with scores above 0.2916 are called positive (the least cost; a false positive costs 1, a false negative "
        "5). Calibration (platt) took the expected calibration error "
        f"from {BEFORE.expected_calibration_error:.4f} to {AFTER.expected_calibration_error:.4f} out of fold, "
        f"from {HELD_OUT_BEFORE.expected_calibration_error:.4f} to {HELD_OUT.expected_calibration_error:.4f} "
        "on held-out rows."
    )
    assert CALIBRATED.intro.startswith(f"{said} What is fitted of it was fitted to the scores of rows out of fold")
    assert "Calibration, out of fold" in render_page("Model", "", [CALIBRATED])


def test_a_model_without_a_decision_has_no_such_section() -> None:
    assert decision_section(result(None, decision=None, uncalibrated=None)) is None
    assert "(the default)" in said_of_decision(result({"calibrate": "platt"}))
    assert "(as declared)" in said_of_decision(result({"threshold": 0.2916}))


def test_a_rule_is_shown_at_its_own_costs() -> None:
    dear = {"calibrate": "platt", "threshold": "by_cost", "costs": {"false_positive": 2, "false_negative": 4}}
    after = replace(AFTER, cost=(2 * 20 + 4 * 5) / 100)
    section = section_of(dear, decision=replace(RULE, after=after))
    assert list(section.charts[2].figure.data[1].y) == pytest.approx([25 * 4 / 100, 0.6, 75 * 2 / 100])
    assert list(section.charts[2].figure.data[2].y) == [0.6]
