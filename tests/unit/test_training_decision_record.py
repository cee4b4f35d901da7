"""What is kept of a decision, on 100 rows with two scores: 40 of 0.8, half of them positive, and 60 of 0.3, five."""

import json

import pytest

from lakeloop.training.decision.calibrating import Platt
from lakeloop.training.decision.record import calibration_errors, decision_record, threshold_points
from lakeloop.training.decision.rule import DecisionRule
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.yardstick import Costs, Yardstick
from tests.model_files import measured, model_spec

COSTS = Costs(false_positive=1, false_negative=5)
BY_COST = {"calibrate": "platt", "threshold": "by_cost", "costs": COSTS._asdict()}


def scored(high: float, low: float, threshold: float = 0.5) -> BinaryMetrics:
    return measured({high: 20, low: 5}, {high: 20, low: 55}, Yardstick(threshold, costs=COSTS), resamples=0)


BEFORE, AFTER = scored(0.8, 0.3), scored(0.5, 0.0833, threshold=0.2916)
RULE = DecisionRule("probability", Platt(0.9, -1.2), 0.2916, BEFORE, AFTER)


def test_each_threshold_has_its_cost_and_f1_by_hand() -> None:
    nobody, some, everybody = threshold_points(AFTER, COSTS)
    # 25 of 100 are positive; to call nobody misses all of them, to call everybody alarms for 75.
    assert nobody == pytest.approx((1.0, 0, 1, 0, 0, 25 * 5 / 100))
    assert some == pytest.approx((0.4999, 0.4, 0.5, 0.8, 2 * 20 / (25 + 40), (20 + 5 * 5) / 100))
    assert everybody == pytest.approx((0.0832, 1, 0.25, 1, 2 * 25 / (25 + 100), 75 / 100))
    assert {point.cost for point in threshold_points(AFTER, None)} == {None}


def test_the_record_has_bins_errors_and_thresholds_of_both_sides() -> None:
    record = decision_record(model_spec(decision=BY_COST), RULE, AFTER, BEFORE)
    assert json.loads(json.dumps(record)) == record
    assert {name: record[name] for name in ("calibrate", "curve", "threshold", "chosen", "costs")} == {
        "calibrate": "platt",
        "curve": {"slope": 0.9, "intercept": -1.2},
        "threshold": 0.2916,
        "chosen": "by_cost",
        "costs": {"false_positive": 1, "false_negative": 5},
    }
    for side in (record["out_of_fold"], record["held_out"]):
        # A score counts as the middle of its cell, half of 1e-4 lower.
        assert side["before"]["reliability"] == [
            {"mean_score": pytest.approx(0.29995), "positive_share": pytest.approx(5 / 60), "rows": 60},
            {"mean_score": pytest.approx(0.79995), "positive_share": 0.5, "rows": 40},
        ]
        assert side["before"]["expected_calibration_error"] == pytest.approx(
            0.6 * (0.29995 - 5 / 60) + 0.4 * (0.79995 - 0.5)
        )
        assert side["after"]["expected_calibration_error"] == pytest.approx(
            0.6 * (5 / 60 - 0.08325) + 0.4 * (0.5 - 0.49995)
        )
        assert [point["cost"] for point in side["thresholds"]] == pytest.approx([1.25, 0.45, 0.75])


def test_without_calibration_there_is_no_before() -> None:
    spec = model_spec(decision={"threshold": 0.3})
    rule = DecisionRule("probability", None, 0.3, BEFORE, BEFORE)
    record = decision_record(spec, rule, BEFORE, None)
    assert (record["curve"], record["costs"], record["chosen"]) == (None, None, 0.3)
    assert (record["out_of_fold"]["before"], record["held_out"]["before"]) == (None, None)
    assert calibration_errors(rule, None) == {}


def test_the_errors_of_calibration_have_names_of_their_own() -> None:
    held_out = scored(0.7, 0.3)
    assert calibration_errors(RULE, held_out) == {
        "calibration_error_out_of_fold_before": BEFORE.expected_calibration_error,
        "calibration_error_out_of_fold_after": AFTER.expected_calibration_error,
        "calibration_error_test_before": held_out.expected_calibration_error,
    }
