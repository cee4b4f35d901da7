"""The log of predictions, without a server."""

import datetime as dt
import json
from pathlib import Path

from deltalake import DeltaTable

from lakeloop.lake.ops_tables import uri_of
from lakeloop.lake.predictions import PREDICTIONS, Prediction, append_predictions, likelihood, predictions

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def prediction(number: int, at: dt.datetime = NOON, model: str = "churn", key: str | None = "c1") -> Prediction:
    micros = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    features = {"age": float("nan"), "plan": 'a"é', "since": dt.date(2025, 1, 31), "visits": None}
    return Prediction(f"r{number}", micros, model, 3, "champion", key, 1.0, 0.75, features, 80, "host:1", "shop")


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert predictions(root).num_rows == 0
    assert predictions(root, columns=["key"]).column_names == ["key"]
    late = NOON + dt.timedelta(hours=11, minutes=59, seconds=59, microseconds=999_999)
    append_predictions(root, [prediction(1), prediction(2, late, key=None)])
    append_predictions(root, [prediction(3, late + dt.timedelta(microseconds=1)), prediction(4, model="prices")])
    rows = {row["request_id"]: row for row in predictions(root, model="churn").to_pylist()}
    assert list(rows) != []
    assert {name: (row["day"].day, row["at"], row["key"]) for name, row in rows.items()} == {
        "r1": (1, NOON, "c1"), "r2": (1, late, None), "r3": (2, late + dt.timedelta(microseconds=1), "c1"),
    }  # fmt: skip
    assert json.loads(rows["r1"]["features"]) == {"age": "NaN", "plan": 'a"é', "since": "2025-01-31", "visits": None}
    window = predictions(root, since=NOON + dt.timedelta(seconds=1), until=late + dt.timedelta(microseconds=1))
    assert window["request_id"].to_pylist() == ["r2"]
    assert DeltaTable(uri_of(root, PREDICTIONS)).metadata().partition_columns == ["day"]


def test_of_several_classes_the_predicted_one_is_kept() -> None:
    assert likelihood(2.0, [0.1, 0.2, 0.7]) == 0.7
    assert likelihood(1.0, 0.6) == 0.6
    assert likelihood(123.4, None) is None
