from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.quality import Rule, compile_rules, judge, judge_rules


def reasons(judged: DataFrame) -> dict[int, list[str]]:
    """The messages of each row that has any, by `id`; the rows are as many as their ids."""
    rows = judged.select("id", "_reasons.message").collect()
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row["message"] for row in rows if row["message"]}


def rule(declared: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(declared)]


@pytest.fixture
def keyed(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [(1, "a", 1), (2, "a", 1), (3, "a", 2), (4, None, 1), (5, None, 1), (6, "", 1), (7, "a ", 1), (8, None, None)],
        "id int, k string, n int",
    )


def test_every_row_of_a_repeated_key_violates_is_unique_and_a_null_none(keyed: DataFrame) -> None:
    message = "k, n: found a, 1 in 2 rows, expected one"
    assert reasons(judge_rules(keyed, rule({"is_unique": ["k", "n"]}))) == {1: [message], 2: [message]}
    assert reasons(judge_rules(keyed, rule({"is_unique": "k"}))) == {
        i: ["k: found a in 3 rows, expected one"] for i in (1, 2, 3)
    }
    assert reasons(judge_rules(keyed, rule({"is_unique": "id"}))) == {}


def test_every_row_of_a_key_that_occurs_too_often_violates_occurs_at_most(keyed: DataFrame) -> None:
    declared = {"occurs_at_most": {"columns": ["k"], "times": 2}}
    assert reasons(judge_rules(keyed, rule(declared))) == {
        i: ["k: found a in 3 rows, expected at most 2"] for i in (1, 2, 3)
    }
    for enough in ({"columns": ["k"], "times": 3}, {"columns": ["k", "n"], "times": 2}):
        assert reasons(judge_rules(keyed, rule({"occurs_at_most": enough}))) == {}
    with pytest.raises(ValidationError, match="times: Input should be greater than or equal to 2"):
        rule({"occurs_at_most": {"columns": ["k"], "times": 1}})


def test_dropped_rows_do_not_count_as_duplicates(keyed: DataFrame, spark: SparkSession) -> None:
    dropped = F.col("id").isin(2, 3)
    compiled = compile_rules(keyed, rule({"is_unique": "k"}), read_table=lambda _: keyed, counted=~dropped)
    judged = judge(compiled.frame, compiled.findings, dropped=dropped)
    assert {row["id"]: row["_verdict"] for row in judged.collect()} == {
        i: "dropped" if i in (2, 3) else "good" for i in range(1, 9)
    }


def test_rows_outside_of_the_filter_do_not_count_as_duplicates(keyed: DataFrame) -> None:
    found = judge_rules(keyed, rule({"is_unique": {"columns": ["k"], "filter": "id != 3"}}))
    assert reasons(found) == {i: ["k: found a in 2 rows, expected one"] for i in (1, 2)}
    assert reasons(judge_rules(keyed, rule({"is_unique": {"columns": ["k"], "filter": "id IN (1, 7)"}}))) == {}


def test_two_uniqueness_rules_do_not_disturb_each_other(keyed: DataFrame) -> None:
    both = [*rule({"is_unique": "k"}), *rule({"is_unique": ["k", "n"]})]
    found = reasons(judge_rules(keyed, both))
    assert {i: len(messages) for i, messages in found.items()} == {1: 2, 2: 2, 3: 1}


@pytest.fixture
def plans(spark: SparkSession) -> DataFrame:
    """The referenced table: a repeated row and one with a NULL."""
    return spark.createDataFrame([("a", 1), ("a", 1), ("", 1), ("a", None), (None, 1)], "k string, number int")


def test_references_wants_a_row_of_the_other_table(keyed: DataFrame, plans: DataFrame) -> None:
    def read(table: str) -> DataFrame:
        assert table == "silver.plans"
        return plans

    one = judge_rules(keyed, rule({"references": {"columns": ["k"], "table": "silver.plans"}}), read_table=read)
    assert reasons(one) == {7: ["k: found a , expected a row of silver.plans"]}
    declared = {"references": {"columns": ["k", "n"], "keys": ["k", "number"], "table": "silver.plans"}}
    two = judge_rules(keyed, rule(declared), read_table=read)
    assert reasons(two) == {
        3: ["k, n: found a, 2, expected a row of silver.plans"],
        7: ["k, n: found a , 1, expected a row of silver.plans"],
    }
    assert two.columns == [*keyed.columns, "_verdict", "_reasons"]


def test_references_to_an_empty_table_and_to_the_own_rows(keyed: DataFrame) -> None:
    declared = rule({"references": {"columns": ["id"], "table": "silver.plans"}})
    empty = judge_rules(keyed, declared, read_table=lambda _: keyed.where("false"))
    assert set(reasons(empty)) == set(range(1, 9))
    assert reasons(judge_rules(keyed, declared, read_table=lambda _: keyed)) == {}


def test_references_to_a_column_that_is_not_there_proposes_the_nearest(keyed: DataFrame, plans: DataFrame) -> None:
    declared = rule({"references": {"columns": ["n"], "keys": ["numbr"], "table": "silver.plans"}})
    message = r"references: no column 'numbr' in silver.plans; did you mean 'number'\? Allowed: k, number"
    with pytest.raises(TableError, match=message):
        judge_rules(keyed, declared, read_table=lambda _: plans)


def numbered(spark: SparkSession, rows: list[tuple[Any, ...]], columns: str) -> DataFrame:
    """Rows with the position that a source gives them: `id` is their place in a file."""
    frame = spark.createDataFrame(rows, columns)
    return frame.withColumn("_position", F.struct(F.lit("f").alias("origin"), F.col("id").cast("long").alias("record")))


def test_is_primary_key_wants_every_value_once(keyed: DataFrame) -> None:
    assert reasons(judge_rules(keyed, rule({"is_primary_key": ["k", "n"]}))) == {
        1: ["k, n: found a, 1 in 2 rows, expected one"],
        2: ["k, n: found a, 1 in 2 rows, expected one"],
        4: ["k, n: found NULL, 1, expected a value in each"],
        5: ["k, n: found NULL, 1, expected a value in each"],
        8: ["k, n: found NULL, NULL, expected a value in each"],
    }
    assert reasons(judge_rules(keyed, rule({"is_primary_key": "id"}))) == {}
    filtered = rule({"is_primary_key": {"columns": ["k"], "filter": "id > 2 AND k IS NOT NULL", "severity": "warn"}})
    assert reasons(judge_rules(keyed, filtered)) == {}


def test_with_a_horizon_the_first_row_to_arrive_stays(spark: SparkSession) -> None:
    rows = numbered(
        spark, [(3, "a", 1), (1, "a", 2), (2, None, 1), (4, None, 1), (5, "b", 1)], "id int, k string, n int"
    )
    earlier = numbered(spark, [(9, "b", 7), (8, "c", 7)], "id int, k string, n int").withColumn("_batch_id", F.lit(0))
    declared = rule({"is_unique": {"columns": ["k"], "horizon": "all"}})
    assert reasons(judge_rules(rows, declared)) == {3: ["k: found a again, first at f:1"]}
    judged = judge_rules(rows, declared, earlier=earlier)
    assert reasons(judged) == {3: ["k: found a again, first at f:1"], 5: ["k: found b again, first at f:9"]}
    assert judged.columns == [*rows.columns, "_verdict", "_reasons"]
    primary = rule({"is_primary_key": {"columns": ["k"], "horizon": "all"}})
    assert reasons(judge_rules(rows, primary)) == {
        2: ["k: found NULL, expected a value in each"],
        3: ["k: found a again, first at f:1"],
        4: ["k: found NULL, expected a value in each"],
    }


@pytest.mark.parametrize("placed", [False, True])
def test_of_rows_that_are_alike_one_stays(spark: SparkSession, placed: bool) -> None:
    """As tables and databases give them: without a place of their own, or with one that they share."""
    rows = [(1, None), (1, None), (1, 5), (None, 1), (None, 1), (2, None)]
    frame = spark.createDataFrame(rows, "k int, n int")
    if placed:
        frame = frame.withColumn(
            "_position", F.struct(F.lit("t").alias("origin"), F.lit(7).cast("long").alias("record"))
        )
    for horizon in ({"horizon": "all"}, {"horizon": "7d", "event_time": "t"}):
        timed = frame.withColumn("t", F.lit("2026-01-01").cast("timestamp"))
        judged = judge_rules(timed, rule({"is_unique": {"columns": ["k"], **horizon}}))
        assert [row["_verdict"] for row in judged.where("k = 1").collect()].count("good") == 1
        assert [row["_verdict"] for row in judged.where("NOT (k <=> 1)").collect()] == ["good"] * 3
    told = judge_rules(frame, rule({"is_unique": {"columns": ["k"], "horizon": "all"}})).where("_reasons IS NOT NULL")
    message = "k: found 1 again, first at t:7" if placed else "k: found 1 again, first"
    assert [row[0][0]["message"] for row in told.select("_reasons").collect()] == [message] * 2


def test_values_that_a_hash_would_take_for_the_same_are_told_apart(spark: SparkSession) -> None:
    """The order of two rows without a place comes of their content: it does not depend on how they lie."""
    rows = [(1, None, 5), (1, 5, None)]
    declared = rule({"is_unique": {"columns": ["k"], "horizon": "all"}})
    found = []
    for each in (rows, rows[::-1]):
        frame = spark.createDataFrame(each, "k int, a int, b int").coalesce(1).withColumn("m", F.create_map("k", "a"))
        judged = judge_rules(frame, declared)
        found.append([row["a"] for row in judged.where("_verdict = 'good'").collect()])
    assert found[0] == found[1]
    assert len(found[0]) == 1


def test_a_length_of_time_is_the_distance_from_which_a_key_may_come_again(spark: SparkSession) -> None:
    rows = [
        (1, "a", "2026-01-01 00:00:00"), (2, "a", "2026-01-07 23:59:59"), (3, "a", "2026-01-14 23:59:59"),
        (4, "a", "2026-01-08 00:00:00"), (5, "a", None), (6, "a", "soon"), (7, "b", "2026-01-01 00:00:00"),
    ]  # fmt: skip
    frame = numbered(spark, rows, "id int, k string, t string")
    declared = {"is_unique": {"columns": ["k"], "horizon": "7d", "event_time": "t"}}
    assert reasons(judge_rules(frame, rule(declared))) == {
        2: ["k: found a again, first at f:1"],  # a second short of seven days
        4: ["k: found a again, first at f:2"],  # seven days after the first row, and a second after another one
    }
    with pytest.raises(TableError, match="rule k_is_unique: no column 't'"):
        judge_rules(frame.drop("t"), rule(declared))


def test_a_row_that_a_row_rule_refuses_makes_no_later_one_a_duplicate(spark: SparkSession) -> None:
    frame = numbered(spark, [(1, "a", -1), (2, "a", 1), (3, "a", 1)], "id int, k string, n int")
    unique: dict[str, Any] = {"is_unique": {"columns": ["k"], "horizon": "all"}}
    for severity, duplicates in (("error", {3}), ("drop", {3}), ("fail", {3}), ("warn", {2, 3})):
        declared = rule({"is_in_range": {"column": "n", "min": 0, "severity": severity}})
        found = judge_rules(frame, [*declared, *rule(unique)])
        assert {i for i, said in reasons(found).items() if "again" in said[-1]} == duplicates


def test_a_filter_finds_the_columns_of_earlier_rows_in_any_case(spark: SparkSession) -> None:
    rows = numbered(spark, [(1, "a", "x"), (2, "b", "x")], "id int, k string, source string")
    earlier = numbered(spark, [(8, "a", "x"), (9, "b", "y")], "id int, k string, source string")
    declared = rule({"is_unique": {"columns": ["k"], "horizon": "all", "filter": "SOURCE = 'x'"}})
    assert set(reasons(judge_rules(rows, declared, earlier=earlier))) == {1}


def test_occurs_at_most_with_a_horizon_keeps_the_first_rows(spark: SparkSession) -> None:
    rows = numbered(
        spark, [(4, "a"), (2, "a"), (3, None), (5, None), (6, None), (1, "a"), (7, "b")], "id int, k string"
    )
    earlier = numbered(spark, [(1, "b"), (2, "b")], "id int, k string")
    declared = rule({"occurs_at_most": {"columns": ["k"], "times": 2, "horizon": "all"}})
    assert reasons(judge_rules(rows, declared, earlier=earlier)) == {
        4: ["k: found a in 3 rows, expected at most 2"],
        7: ["k: found b in 3 rows, expected at most 2"],
    }


@pytest.fixture
def cities(spark: SparkSession) -> DataFrame:
    return numbered(
        spark,
        [(1, "1010", "Wien"), (2, "1010", "Vienna"), (3, "1010", None), (4, None, "Wien"), (5, None, "Graz"),
         (6, "8010", "Graz"), (7, "8010", "Graz"), (8, "1010", "Wien")],
        "id int, zip string, city string",
    )  # fmt: skip


def test_determines_within_a_batch(cities: DataFrame) -> None:
    declared: dict[str, Any] = {"columns": ["zip"], "column": "city"}
    expected = "city: found {} where zip is 1010, expected one value"
    assert reasons(judge_rules(cities, rule({"determines": declared}))) == {
        1: [expected.format("Wien")], 2: [expected.format("Vienna")], 8: [expected.format("Wien")],
    }  # fmt: skip
    filtered = rule({"determines": {**declared, "filter": "city != 'Vienna'"}})
    assert reasons(judge_rules(cities, filtered)) == {}


def test_determines_with_a_horizon_goes_by_the_first(cities: DataFrame, spark: SparkSession) -> None:
    declared = rule({"determines": {"columns": ["zip"], "column": "city", "horizon": "all", "severity": "warn"}})
    judged = judge_rules(cities, declared)
    assert reasons(judged) == {2: ["city: found Vienna where zip is 1010, expected Wien as before"]}
    assert {row["_verdict"] for row in judged.collect()} == {"good"}
    earlier = numbered(spark, [(1, "8010", None), (2, "8010", "Gratz")], "id int, zip string, city string")
    assert set(reasons(judge_rules(cities, declared, earlier=earlier))) == {2, 6, 7}


def test_is_increasing_in_the_order_of_arrival(spark: SparkSession) -> None:
    rows = [(4, "a", 3), (1, "a", 1), (2, "a", None), (3, "a", 1), (5, "b", 2), (6, "a", 2)]
    frame = numbered(spark, rows, "id int, g string, n int")
    declared: dict[str, Any] = {"column": "n", "by": ["g"]}
    assert reasons(judge_rules(frame, rule({"is_increasing": declared}))) == {
        3: ["n: found 1, expected more than 1"],
        6: ["n: found 2, expected more than 3"],
    }
    assert set(reasons(judge_rules(frame, rule({"is_increasing": {**declared, "strictly": False}})))) == {6}
    assert reasons(judge_rules(frame, rule({"is_increasing": {"column": "n", "strictly": False}}))) == {
        5: ["n: found 2, expected at least 3"], 6: ["n: found 2, expected at least 3"],
    }  # fmt: skip
    earlier = numbered(spark, [(9, "b", 2)], "id int, g string, n int")
    over_all = rule({"is_increasing": {**declared, "horizon": "all"}})
    assert set(reasons(judge_rules(frame, over_all, earlier=earlier))) == {3, 5, 6}


def test_has_no_gaps_in_the_order_of_arrival(spark: SparkSession) -> None:
    rows = [(1, "a", 1), (2, "a", 3), (3, "a", 2), (4, "a", 4), (5, "a", None), (6, "a", 7), (7, "b", 9)]
    frame = numbered(spark, rows, "id int, g string, n int")
    assert reasons(judge_rules(frame, rule({"has_no_gaps": {"column": "n", "by": ["g"]}}))) == {
        2: ["n: found 3, expected at most 1 above 1"], 6: ["n: found 7, expected at most 1 above 4"],
    }  # fmt: skip
    wider = rule({"has_no_gaps": {"column": "n", "by": ["g"], "step": 3}})
    assert reasons(judge_rules(frame, wider)) == {}
    filtered = rule({"has_no_gaps": {"column": "n", "by": ["g"], "filter": "n <> 3"}})
    assert reasons(judge_rules(frame, filtered)) == {
        4: ["n: found 4, expected at most 1 above 2"], 6: ["n: found 7, expected at most 1 above 4"],
    }  # fmt: skip


def test_an_order_can_be_said_and_must_be(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, 2147483647, "x"), (2, 2147483646, None), (3, 5, "y")], "id int, n int, t string")
    for kind in ("has_no_gaps", "is_increasing"):
        with pytest.raises(
            TableError, match=f"rule n_{kind}: it compares rows in the order of their arrival.*in_order_of"
        ):
            judge_rules(frame, rule({kind: "n"}))
    with pytest.raises(TableError, match="rule t_has_no_gaps: has_no_gaps is of numbers, and t is string"):
        judge_rules(frame, rule({"has_no_gaps": "t"}), in_order_of=["id"])
    days = frame.selectExpr("id", "date_add(DATE'2026-01-01', id * id) AS d")
    assert set(reasons(judge_rules(days, rule({"has_no_gaps": {"column": "d", "step": 3}}), in_order_of=["id"]))) == {3}
    # Nothing is above the largest number there is, and no sum overflows on the way to say so.
    assert reasons(judge_rules(frame, rule({"has_no_gaps": "n"}), in_order_of=["id"])) == {}
    downwards = frame.selectExpr("id", "n", "-id AS back")
    assert set(reasons(judge_rules(downwards, rule({"has_no_gaps": "n"}), in_order_of=["back"]))) == {2}
    assert set(reasons(judge_rules(frame, rule({"is_increasing": "n"}), in_order_of=["id"]))) == {2, 3}


def test_hostile_names_are_names(spark: SparkSession) -> None:
    name = "a.b`c'd\"; DROP"
    frame = numbered(spark, [(1, 1), (2, 1), (3, None), (4, 7)], "id int, n int").withColumnRenamed("n", name)
    for declared, expected in (
        ({"is_unique": [name]}, {1, 2}),
        ({"is_unique": {"columns": [name], "horizon": "all"}}, {2}),
        ({"is_primary_key": [name]}, {1, 2, 3}),
        ({"occurs_at_most": {"columns": [name], "times": 2}}, set()),
        ({"determines": {"columns": [name], "column": "id"}}, {1, 2}),
        ({"determines": {"columns": ["id"], "column": name, "horizon": "all"}}, set()),
        ({"is_increasing": {"column": name, "by": [name]}}, {2}),
        ({"has_no_gaps": name}, {4}),
        ({"is_unique": {"columns": [name], "filter": "`a.b``c'd\"; DROP` = 7"}}, set()),
    ):
        assert set(reasons(judge_rules(frame, rule(declared), earlier=frame.where("false")))) == expected, declared
