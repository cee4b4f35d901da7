"""Repeated keys found on the driver, beside windows over the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.quality import Rule, compile_rules, judge, repeats

DECLARED: list[dict[str, Any]] = [
    {"is_unique": ["k"]},
    {"is_primary_key": ["k", "t"]},
    {"occurs_at_most": {"columns": ["t"], "times": 2}},
    {"is_unique": {"columns": ["k"], "filter": "n > 0", "name": "positive"}},
    {"is_unique": ["x"]},
    {"determines": {"columns": ["k"], "column": "t"}},
]
Judged = list[tuple[int, str, list[tuple[str, str]]]]


def rules(*declared: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(each) for each in declared]


def judged(frame: DataFrame, declared: list[Rule], *, may_reread: bool) -> Judged:
    """Place, verdict and reasons of each row."""
    compiled = compile_rules(
        frame, declared, read_table=lambda _: frame, counted=F.col("n") != 3, may_reread=may_reread
    )  # fmt: skip
    rows = judge(compiled.frame, compiled.findings).orderBy("id").select("id", "_verdict", "_reasons").collect()
    return [(i, verdict, [(each["rule"], each["message"]) for each in said or []]) for i, verdict, said in rows]


def shuffles(frame: DataFrame, declared: list[Rule]) -> int:
    compiled = compile_rules(frame, declared, read_table=lambda _: frame)
    plan = judge(compiled.frame, compiled.findings)._jdf.queryExecution().executedPlan().toString()
    return plan.count("Exchange hashpartitioning") + plan.count("Exchange SinglePartition")


@pytest.fixture
def written(spark: SparkSession, tmp_path: Path) -> Callable[..., DataFrame]:
    """Rows as a file has them."""

    def write(rows: list[Any], kind: str = "parquet") -> DataFrame:
        numbered = [(i, *row) for i, row in enumerate(rows)]
        frame = spark.createDataFrame(numbered, "id int, k string, t string, n int, x double").coalesce(2)
        frame.write.format(kind).mode("overwrite").save(str(tmp_path / kind))
        return spark.read.format(kind).load(str(tmp_path / kind))

    return write


ROW = st.tuples(
    st.sampled_from([None, "", "a", "b", "a\x00"]),
    st.sampled_from([None, "a", "b"]),
    st.integers(0, 3),
    st.sampled_from([None, 0.0, -0.0, float("nan"), 1.5]),
)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=25))
def test_the_driver_says_what_windows_say(written: Callable[..., DataFrame], rows: list[Any]) -> None:
    frame = written(rows)
    assert judged(frame, rules(*DECLARED), may_reread=True) == judged(frame, rules(*DECLARED), may_reread=False)


@pytest.mark.parametrize("kind", ["parquet", "orc"])
@pytest.mark.parametrize(
    "rows",
    [[], [("a", "a", 1, 1.0)] * 5, [(str(i), None, 1, float(i)) for i in range(5)], [(None, None, 1, None)] * 3],
    ids=["no rows", "all the same", "none the same", "all NULL"],
)
def test_extremes(written: Callable[..., DataFrame], rows: list[Any], kind: str) -> None:
    frame = written(rows, kind)
    found = judged(frame, rules({"is_unique": ["k"]}, {"is_primary_key": ["x", "t"]}), may_reread=True)
    assert found == judged(frame, rules({"is_unique": ["k"]}, {"is_primary_key": ["x", "t"]}), may_reread=False)
    repeated = [said for _, _, said in found if ("k_is_unique", "k: found a in 5 rows, expected one") in said]
    assert len(repeated) == (5 if len(rows) == 5 and rows[0] == rows[1] else 0)


def counted_on_the_driver(frame: DataFrame, *columns: str) -> bool:
    declared = rules({"is_unique": list(columns)})
    return repeats.count_repeats(frame, declared, {declared[0].name: F.lit(True)}) is not None


def test_only_plain_rows_of_few_columnar_files_are_read_once_more(
    written: Callable[..., DataFrame], spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("a", "a", 1, 1.0), ("a", None, 2, 1.0), ("b", "a", 2, None)]
    frame = written(rows)
    assert counted_on_the_driver(frame, "k")
    assert counted_on_the_driver(frame, "K")
    assert counted_on_the_driver(frame.where("n > 0").withColumn("upper", F.upper("k")), "upper")
    assert counted_on_the_driver(frame.union(frame), "k")
    frame.write.format("delta").save(str(tmp_path / "delta"))
    assert counted_on_the_driver(spark.read.format("delta").load(str(tmp_path / "delta")), "k", "t")
    frame.write.json(str(tmp_path / "json"))
    for other in (
        spark.read.json(str(tmp_path / "json")),
        frame.crossJoin(frame.select(F.lit(1).alias("one"))),  # may have more rows than the files
        frame.withColumn("e", F.explode(F.array("k", "t"))),
        frame.where("rand() > 0.5"),  # has other rows each time
        spark.createDataFrame(rows, "k string, t string, n int, x double"),
        frame.unionByName(spark.read.json(str(tmp_path / "json")), allowMissingColumns=True),
    ):
        assert not counted_on_the_driver(other, "k")
    nested = frame.withColumn("s", F.struct("k", "t"))
    assert not counted_on_the_driver(nested, "s")
    for name, most in (("MOST_KEYS", 2), ("MOST_FILES", 0), ("MOST_REPEATED", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(repeats, name, most)
            assert not counted_on_the_driver(frame, "k")
            expected = judged(frame, rules(*DECLARED), may_reread=False)
            assert judged(frame, rules(*DECLARED), may_reread=True) == expected


def test_a_null_within_a_value_is_no_other_value(spark: SparkSession, tmp_path: Path) -> None:
    """A hash passes over NULLs: for it the two rows are the same."""
    rows = spark.createDataFrame([(1, 1, (1, None)), (2, 1, (None, 1))], "id int, n int, s struct<a: int, b: int>")
    rows.write.parquet(str(tmp_path / "nested"))
    frame = spark.read.parquet(str(tmp_path / "nested"))
    assert judged(frame, rules({"is_unique": ["s"]}), may_reread=True) == [(1, "good", []), (2, "good", [])]


def test_keys_on_the_driver_spare_the_shuffle(written: Callable[..., DataFrame]) -> None:
    frame = written([("a", "a", 1, 1.0), ("a", None, 2, 1.0)])
    declared = rules({"is_unique": ["k"]}, {"is_primary_key": ["k", "t"]})
    assert shuffles(frame, declared) == 0
    assert shuffles(frame.where("rand() > 0.5"), declared) > 0
