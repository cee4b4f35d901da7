from pyspark.sql import SparkSession

from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.transforms import Transform, conform, is_by_row
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.lake.batch_counts import BatchCounts, count_batch
from lakeloop.lake.tables import Lake

RECORDED = (
    "_batch_id bigint, _verdict string, _position struct<origin:string,record:bigint>, "
    "_reasons array<struct<rule:string,message:string>>, _lookup_plan string"
)


def test_a_batch_is_counted_by_origin_reason_and_outcome(lake: Lake) -> None:
    rows = [
        (1, "good", ("a.csv", 2), None, "matched"),
        (1, "good", ("a.csv", 2), None, "matched"),
        (1, "good", ("a.csv", 3), [("late", "m")], None),
        (1, "quarantined", ("a.csv", 4), [("late", "m"), ("empty", "m")], "missing"),
        (1, "dropped", ("b.csv", 2), [("dedupe", "m")], None),
        (1, "quarantined", (None, None), [("empty", None)], "matched"),
        (2, "quarantined", ("a.csv", 5), [("late", "m")], "missing"),
    ]
    lake.write("bronze.orders", lake.spark.createDataFrame(rows, RECORDED), mode="append", partition_by=["_verdict"])
    found = count_batch(lake.root, "bronze.orders", 1, ["_lookup_plan", "_lookup_of_later"])
    assert found == BatchCounts(
        {"a.csv": RowCounts(4, 3, 1, 0), "b.csv": RowCounts(1, 0, 0, 1), "": RowCounts(1, 0, 1, 0)},
        {"late": 2, "empty": 2},
        {"_lookup_plan": {"matched": 3, "missing": 1}},
        dropped_by={"dedupe": 1},
    )
    assert found.rows == RowCounts(6, 3, 2, 1)
    assert count_batch(lake.root, "bronze.orders", 3) == BatchCounts()


def test_what_goes_row_by_row_is_projected_only(spark: SparkSession) -> None:
    """A batch of such transforms is not counted at its source, since no projection loses or doubles a row."""
    declared = [
        {"trim": ["a"]},
        {"normalise": {"a": {"case": "lower"}}},
        {"repair": {"a": ["quotes"]}},
        {"map": {"a": {"values": {"x": "y"}, "otherwise": "keep"}}},
        {"split": {"a": {"separator": "-", "into": ["p", "q"]}}},
        {"units": {"p": {"to": "kg", "from": {"kg": 1}}}},
        {"dates": {"q": {"formats": ["dd.MM.yyyy"], "to": "date"}}},
        {"numbers": {"b": {"percent": True, "to": "double"}}},
        {"rename": {"b": "c"}},
        {"cast": {"c": "bigint"}},
    ]
    transforms = [Transform.model_validate(each) for each in declared]
    assert is_by_row(transforms)
    frame = spark.createDataFrame([("x", "1"), (None, "1"), ("x", "1")], "a string, b string")
    plan = conform(Conformed(frame), transforms).frame._jdf.queryExecution().analyzed()
    while plan.nodeName() == "Project":
        plan = plan.child()
    assert plan.nodeName() == "LogicalRDD"
    assert not is_by_row([*transforms, Transform.model_validate({"dedupe": {"keys": ["a"]}})])
