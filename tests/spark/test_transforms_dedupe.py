"""`dedupe`: fair to good rows, the same whatever the order, and against what the table holds."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import BECAUSE, DROPPED, Conformed, Known, Transform, conform
from lakeloop.quality import Finding
from lakeloop.quality.judgement import judge

SCHEMA = "k string, t string, v int"
KEPT, KNOWN = "another row of this key was kept", "a row of this key is in the table already"


def apply(frame: DataFrame, *declared: dict[str, Any], known: Known | None = None) -> Conformed:
    return conform(Conformed(frame), [Transform.model_validate(entry) for entry in declared], known)


def fates(conformed: Conformed) -> list[tuple[int, str | None]]:
    """Per row its `v` and why it was dropped, if it was."""
    rows = conformed.frame.select("v", BECAUSE, DROPPED).collect()
    assert all(row[DROPPED] is (row[BECAUSE] is not None) for row in rows)
    return sorted((row["v"], row[BECAUSE] and row[BECAUSE]["message"]) for row in rows)


def test_a_bad_row_never_pushes_out_a_good_one(spark: SparkSession) -> None:
    rows = [("a", "9", 1), ("a", "x", 2), ("b", "x", 3), ("b", "y", 4), ("c", None, 5), ("c", "z", 6)]
    frame = spark.createDataFrame(rows, SCHEMA)
    conformed = apply(frame, {"cast": {"t": "int"}}, {"dedupe": {"keys": ["k"], "latest_by": "t"}})
    kept = [v for v, because in fates(conformed) if because is None]
    assert (kept[0], kept[-1], len(kept)) == (1, 5, 3)
    assert kept[1] in (3, 4)
    # Without the cast there is nothing wrong with a text, and the greatest is kept.
    assert {v for v, why in fates(apply(frame, {"dedupe": {"keys": ["k"], "latest_by": "t"}})) if why is None} == {
        2,
        4,
        6,
    }


@pytest.mark.parametrize(("severity", "kept"), [("error", 1), ("fail", 1), ("warn", 2)])
def test_only_findings_that_quarantine_count(spark: SparkSession, severity: Any, kept: int) -> None:
    frame = spark.createDataFrame([("a", "1", 1), ("a", "2", 2)], SCHEMA)
    finding = Finding("odd", F.when(F.col("v") == 2, "odd"), severity)
    step = Transform.model_validate({"dedupe": {"keys": ["k"], "latest_by": "t"}})
    assert [v for v, why in fates(conform(Conformed(frame, (finding,)), [step])) if why is None] == [kept]


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["1", "2", "x", None]), st.integers(0, 2)), max_size=12
)


@settings(max_examples=12)
@given(rows=ROWS, seed=st.randoms(use_true_random=False), partitions=st.integers(1, 4))
def test_one_row_of_each_key_whatever_the_order(
    spark: SparkSession, rows: list[Any], seed: Any, partitions: int
) -> None:
    shuffled = seed.sample(rows, len(rows))
    kept = []
    for order, parts in ((rows, 1), (shuffled, partitions)):
        frame = spark.createDataFrame(order, SCHEMA).repartition(parts)
        conformed = apply(frame, {"cast": {"t": "int"}}, {"dedupe": {"keys": ["k"], "latest_by": "t"}})
        assert conformed.frame.count() == len(rows)
        kept.append(
            Counter(tuple(row) for row in conformed.frame.where(~conformed.is_dropped).select("k", "t", "v").collect())
        )
    assert kept[0] == kept[1]
    by_key = Counter(row[0] for row in kept[0].elements())
    assert by_key == Counter(dict.fromkeys({row[0] for row in rows} - {None}, 1)) + Counter(
        row[0] for row in rows if row[0] is None
    )
    for key, newest, _ in (row for row in kept[0] if row[0] is not None):
        good = [int(t) if t else -1 for k, t, _ in rows if k == key and t != "x"]
        assert (newest if newest is not None else -1) == max(good, default=-1)


def test_rows_that_are_in_the_table_are_dropped_with_their_message(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", "1", 1), ("b", "1", 2), ("b", "1", 3), (None, "1", 4), ("c", "x", 5)], SCHEMA)
    known = spark.createDataFrame([("a",), ("a",), ("c",), (None,)], "k string")
    declared = {"dedupe": {"keys": ["k"], "against": "table", "latest_by": "v"}}
    conformed = apply(frame, declared, known=lambda: known)
    assert fates(conformed) == [(1, KNOWN), (2, KEPT), (3, None), (4, None), (5, KNOWN)]
    judged = judge(conformed.frame, conformed.findings, dropped=conformed.is_dropped, because=F.col(BECAUSE))
    reasons = judged.where("v = 1").select(F.inline("_reasons")).collect()
    assert [tuple(row) for row in reasons] == [("dedupe", KNOWN)]


@pytest.mark.parametrize("known", [None, "other string"])
def test_a_table_without_such_rows_holds_none(spark: SparkSession, known: str | None) -> None:
    frame = spark.createDataFrame([("a", "1", 1)], SCHEMA)
    recorded = None if known is None else spark.createDataFrame([("a",)], known)
    assert fates(apply(frame, {"dedupe": {"keys": ["k"], "against": "table"}}, known=lambda: recorded)) == [(1, None)]


def test_keys_are_compared_in_the_type_that_the_table_has(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("01", "1", 1), ("x", "1", 2), ("2.0", "1", 3)], SCHEMA)
    known = spark.createDataFrame([(1,), (2,)], "k int")
    declared = {"dedupe": {"keys": ["k"], "against": "table"}}
    assert fates(apply(frame, declared, known=lambda: known)) == [(1, KNOWN), (2, None), (3, None)]


def test_the_table_is_read_only_when_it_is_declared(spark: SparkSession) -> None:
    def refuse() -> DataFrame:
        raise AssertionError("nobody asked for it")

    frame = spark.createDataFrame([("a", "1", 1)], SCHEMA)
    assert fates(apply(frame, {"dedupe": {"keys": ["k"]}}, known=refuse)) == [(1, None)]
    with pytest.raises(TableError, match="against: table` needs a table"):
        apply(frame, {"dedupe": {"keys": ["k"], "against": "table"}})


def test_the_first_reason_to_drop_stays(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", "1", 1), ("a", "2", 2)], SCHEMA)
    known = spark.createDataFrame([("1",), ("2",)], "t string")
    declared = [{"dedupe": {"keys": ["k"], "latest_by": "t"}}, {"dedupe": {"keys": ["t"], "against": "table"}}]
    assert fates(apply(frame, *declared, known=lambda: known)) == [(1, KEPT), (2, KNOWN)]
