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
    assert two.columns == [*keyed.columns, "_failed_0", "_verdict", "_reasons"]


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
