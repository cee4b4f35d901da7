from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.training.leaks import find_leaks
from lakeloop.training.spec.model import ModelSpec
from tests.spark.test_training_features import spec_of

FEATURES: dict[str, Any] = {
    "numeric": ["near", "far", "sum", "still", "empty"],
    "categorical": ["reason", "ident", "plan", "alike", "blank"],
    "dates": ["left_at", "seen_at"],
}


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """A hundred rows and one twice, of which a third leaves.

    `near`, `sum` where there is one, `reason`, and that there is a `left_at` tell it.
    """
    return (
        spark.range(100)
        .selectExpr("int(id) AS id", "double(id % 3 = 0) AS _label")
        .union(spark.sql("SELECT 3, 1D"))
        .selectExpr(
            "*",
            # One row that stays is in the midst of those that leave: the area is 1 - 12.5 / (35 * 66).
            "IF(id = 1, 101, _label * 100) + id % 7 AS near",
            "_label * 2 + id * 13 % 11 AS far",
            "IF(id % 10 = 0, double('nan'), 3 * _label * id + id / 1000) AS sum",
            "1.5 AS still",
            "CAST(NULL AS DOUBLE) AS empty",
            "IF(_label = 1, IF(id % 2 = 0, 'moved', NULL), IF(id % 4 = 0, 'other', 'stays')) AS reason",
            "IF(_label = 1, NULL, '') AS blank",
            "string(id) AS ident",
            "IF(id % 2 = 0, 'a', 'b') AS plan",
            "'x' AS alike",
            "IF(_label = 1, date_add(DATE'2024-01-01', id % 5), NULL) AS left_at",
            "date_add(DATE'2024-01-01', id * 7 % 60) AS seen_at",
        )
    )


def told(found: tuple[str, ...], said: str) -> list[str]:
    return [sentence.split("'")[1] for sentence in found if said in sentence]


def test_what_tells_the_class_alone_is_named_and_so_is_what_never_changes(rows: DataFrame) -> None:
    found = find_leaks(spec_of(**FEATURES), rows)
    assert told(found, "alone tells 'churn', with an area under the ROC curve of") == [
        "near",
        "sum",
        "left_at",
        "reason",
    ]
    assert told(found, "never changes in 101 rows") == ["still", "empty", "alike", "blank"]
    assert len(found) == 8
    assert "curve of 0.99" in found[0]
    assert "on 101 rows; make sure that it is known before the label is" in found[0]


def test_a_number_is_told_by_what_follows_it_straight_or_in_order(rows: DataFrame) -> None:
    base = spec_of(numeric=["far", "cubed", "near_it", "some"], categorical=["ident", "plan", "half"]).model_dump(
        mode="json"
    )
    label = {"column": "price", "task": "regression", "positive": None}
    spec = ModelSpec.model_validate(
        base | {"label": label, "candidates": [{"linear_regression": {}}], "select_by": "r2"}
    )
    priced = rows.selectExpr(
        "id",
        "double(id * 37 % 101) AS _label",
        "far",
        "ident",
        "plan",
        "pow(double(id * 37 % 101), 9) AS cubed",
        "id * 37 % 101 + id % 3 AS near_it",
        "IF(id % 2 = 0, NULL, 7 - id * 37 % 101) AS some",
        "string(id * 37 % 101 > 50) AS half",
    )
    found = find_leaks(spec, priced)
    assert told(found, "alone tells 'price', with a correlation of") == ["cubed", "near_it", "some"]
    assert len(found) == 3


def test_few_rows_accuse_nobody(rows: DataFrame) -> None:
    few = rows.where("id < 12")
    assert told(find_leaks(spec_of(numeric=["near", "still"]), few), "alone tells") == []
    assert told(find_leaks(spec_of(numeric=["near", "still"]), few), "never changes in 13 rows") == ["still"]


def test_a_sample_is_the_same_however_rows_are_laid_out(rows: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakeloop.training.leaks.MOST_ROWS", 60)
    spec = spec_of(numeric=["near", "far"], categorical=["reason"])
    found = find_leaks(spec, rows)
    assert "on 60 rows" in found[0]
    assert find_leaks(spec, rows.repartition(5, "plan").orderBy(F.desc("far"))) == found
