"""Profiles of frames whose numbers are known by hand, the plan of the one pass, and proposals put to the test."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop import verbs
from lakeloop.core.errors import TableError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.table_profiles import newest_profile
from lakeloop.lake.tables import Lake
from lakeloop.quality import Rule, judge_rules
from lakeloop.quality.profiling import (
    find_relations,
    judge_proposals,
    plan_of,
    profile_frame,
    propose_rules,
    remarks_on,
    rules_yaml,
)
from tests.small_lake import write_lake

SMALL = "n double, i int, t string, d date, a array<int>, x string"
ROWS: list[tuple[Any, ...]] = [
    (1.0, 5, "ab", dt.date(2020, 1, 1), [1], None),
    (1.0, 5, "ab", dt.date(2020, 1, 1), [1], None),
    (3.0, -2, "", dt.date(2021, 1, 1), [], None),
    (math.nan, 0, " ", None, None, None),
    (math.inf, 9, "a@b.org", dt.date(9999, 1, 1), [1, 2, 3], None),
    (None, None, None, None, None, None),
    (10.0, 5, "12.5 ", dt.date(2020, 1, 1), [1], None),
]


@pytest.fixture(scope="module")
def small(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SMALL).repartition(3)


def test_a_profile_says_what_was_counted_by_hand(small: DataFrame) -> None:
    profile = profile_frame(small)
    n, i, t, d, a, x = profile.columns
    assert [profile.rows, profile.sampled] == [7, 7]
    assert [column.nulls for column in profile.columns] == [1, 1, 1, 2, 2, 7]
    assert [column.distinct for column in profile.columns] == [5, 4, 5, 3, None, 0]
    # NaN and infinity are counted, and are no numbers: 1, 1, 3, 10 are left.
    assert [n.count("nan"), n.count("infinite"), n.number("min"), n.number("max"), n.number("mean")] == [
        1,
        1,
        1,
        10,
        3.75,
    ]
    assert n.number("stddev") == pytest.approx(math.sqrt((2.75**2 * 2 + 0.75**2 + 6.25**2) / 3))
    assert [n.quantile(share) for share in (0.25, 0.5, 0.75)] == [1, 1, 3]
    assert [i.count("negative"), i.count("zeros"), i.quantile(0.5), i.mad] == [1, 1, 5, 0]
    assert [t.count(name) for name in ("empty", "blank", "padded", "length_min", "length_max")] == [1, 1, 1, 0, 7]
    assert t.formats == {"email": 1 / 6}
    assert dict(t.values.most_common(1)) == {"ab": 2}
    assert [d.moment(0), d.count("ahead")] == [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), 1]
    assert [a.count("empty"), a.count("length_max"), a.metrics()["nulls"]] == [1, 3, 2]
    assert [x.filled, x.is_constant, x.metrics()] == [
        0, False,
        {"rows": 7, "nulls": 7, "distinct": 0, "empty": 0, "blank": 0, "padded": 0},
    ]  # fmt: skip
    assert ("x", "has no value in any row") in remarks_on(profile)


def test_a_frame_without_rows_and_one_without_columns(spark: SparkSession, small: DataFrame) -> None:
    empty = profile_frame(small.where("false"))
    assert [empty.rows, empty.sampled, [column.distinct for column in empty.columns]] == [0, 0, [0, 0, 0, 0, None, 0]]
    assert propose_rules(empty, find_relations(empty)) == []
    assert remarks_on(empty) == []
    with pytest.raises(TableError, match="no column"):
        profile_frame(spark.range(3).select())


def test_the_pass_is_one_scan_and_exchanges_nothing_but_summaries(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(1000).selectExpr("id", "cast(id % 7 as string) t").write.parquet(str(tmp_path / "rows"))
    plan = plan_of(spark.read.parquet(str(tmp_path / "rows")))
    assert [plan.count("FileScan"), plan.count("Exchange"), plan.count("CollectMetrics")] == [1, 1, 1]
    summaries, _, rows = plan.partition("Exchange SinglePartition")
    assert "_merge" in summaries
    assert "_summarise" in rows


def test_columns_of_any_name_are_profiled(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, "x"), (1, None)], "`a.b` int, `c``d e` string")
    assert [(c.name, c.distinct, c.nulls) for c in profile_frame(frame).columns] == [("a.b", 1, 0), ("c`d e", 1, 1)]


def test_many_values_are_counted_within_the_errors_that_are_stated(spark: SparkSession) -> None:
    frame = spark.range(0, 20_000, 1, 4).selectExpr("id", "if(id % 5 = 0, 'often', concat('v', id)) t", "id / 3 x")
    profile = profile_frame(frame)
    key, text, number = profile.columns
    assert abs(key.distinct - 20_000) <= key.distinct_error
    assert abs(text.distinct - 16_001) <= text.distinct_error
    (value, count), *_ = text.values.most_common(1)
    assert value == "often"
    assert 4_000 - text.values.error <= count <= 4_000
    assert number.quantile(0.5) == pytest.approx(19_999 / 6, rel=0.005)
    assert number.mad == pytest.approx(19_999 / 12, rel=0.02)
    assert profile.sampled == 10_000
    assert len(set(profile.sample["id"].to_pylist())) == 10_000
    assert [key.may_be_key, text.may_be_key] == [True, False]


ORDERS = """
    id, concat(lpad(id % 10000, 4, '0'), '-', if(id % 2 = 0, 'AB', 'CD')) code,
    element_at(array('new', 'paid', 'sent'), cast(id % 3 + 1 as int)) status,
    if(id % 10 = 0, null, 5 + (id * 37 % 1000) / 10) amount,
    cast(id % 50 + 1 as int) quantity,
    timestamp'2020-01-01 00:00:00' + make_interval(0, 0, 0, cast(id % 300 as int)) ordered_at,
    concat('u', id, '@example.org') email,
    if(id % 3 = 0, 'CH', 'DE') country, if(id % 3 = 0, 'CHF', 'EUR') currency,
    concat('name ', id % 990) label
"""


@pytest.fixture(scope="module")
def orders(spark: SparkSession) -> DataFrame:
    return spark.range(1, 1001).selectExpr(*[part.strip() for part in _split(ORDERS)])


def _split(expressions: str) -> list[str]:
    """The expressions, divided at commas outside parentheses."""
    parts, depth = [""], 0
    for character in expressions:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def test_proposals_hold_on_the_rows_they_come_from_and_find_faults_in_later_ones(
    spark: SparkSession, orders: DataFrame
) -> None:
    profile = profile_frame(orders)
    proposals = judge_proposals(orders, propose_rules(profile, find_relations(profile)))
    text = rules_yaml("orders", profile, proposals)
    declared = yaml.safe_load(text)
    rules = [Rule.model_validate(each) for each in declared["rules"]]
    kinds = {(rule.kind, *rule.columns) for rule in rules}
    assert {
        ("is_not_null", "id"), ("is_unique", "id"), ("matches", "code"), ("is_in", "status"),
        ("is_in_range", "amount"), ("is_in_range", "quantity"), ("is_not_ahead", "ordered_at"), ("is_in", "currency"),
    } <= kinds  # fmt: skip
    assert ("is_not_null", "amount") not in kinds
    assert ("is_unique", "label") not in kinds  # ten of them stand twice, which an approximate count cannot tell
    assert judge_rules(orders, rules).where("_reasons is not null").count() == 0
    assert declared["columns"] == {"email": {"tags": ["pii"]}}
    assert "@example.org" not in text

    faults = {
        "id": ("id", "null"), "code": ("code", "'12-AB'"), "status": ("status", "'lost'"),
        "amount": ("amount", "-50.0"),
        "quantity": ("quantity", "5000"), "ordered_at": ("ordered_at", "timestamp'2999-01-01'"),
        "currency": ("currency", "'USD'"), "country": ("country", "null"), "label": ("label", "'  '"),
    }  # fmt: skip
    later = orders.where("id = 7")
    for at, (column, value) in enumerate(faults.values()):
        own = {"id": F.lit(2000 + at).cast("bigint"), "email": F.lit(f"u{at}@x.org"), "code": F.lit(f"{2000 + at}-AB")}
        row = orders.where("id = 8").withColumns(own)
        later = later.unionByName(row.withColumn(column, F.expr(f"cast({value} as {dict(orders.dtypes)[column]})")))
    judged = judge_rules(later, rules).select("*", F.size("_reasons").alias("found")).collect()
    (clean,) = [row for row in judged if row["id"] == 7]
    # In one batch nobody knows which currency of a country is right, so all of its rows are told.
    assert [reason["rule"] for reason in clean["_reasons"]] == ["country_currency_determines"]
    assert all(row["found"] >= 1 for row in judged if row["id"] != 7)
    found = {
        reason["rule"].rpartition("_is_")[0] or reason["rule"] for row in judged for reason in row["_reasons"] or []
    }
    assert {"id", "status", "amount", "quantity", "ordered_at", "currency", "country"} <= found


def test_relations_are_found_in_the_sample(orders: DataFrame) -> None:
    paired = orders.selectExpr("*", "quantity * 2 + id % 2 twice", "id % 25 a", "cast(floor(id / 25) as int) b").drop(
        "id"
    )
    relations = find_relations(profile_frame(paired.drop("code", "email", "label", "ordered_at")))
    assert ("a", "b") in [found.columns for found in relations.keys]
    dependencies = [found.columns for found in relations.dependencies]
    assert ("country", "currency") in dependencies
    assert ("status", "quantity") not in dependencies
    assert ("quantity", "twice") in [found.columns for found in relations.orders]
    (strongest, *_) = relations.correlations
    assert set(strongest.columns) == {"quantity", "twice"}
    assert strongest.coefficient > 0.999


def test_a_profile_of_a_lakes_table_is_kept_and_shows_no_personal_data(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_lake(tmp_path)
    lake = Lake(spark, project.lake_root)
    monkeypatch.setattr("lakeloop.verbs.profiling.open_lake", lambda project: lake)
    page, rules = tmp_path / "page.html", tmp_path / "rules.yml"
    asked = verbs.ProfileAsked("silver.people", output=page, rules=rules)
    found = verbs.profile(project, asked, RunContext("profile", "local"))
    kept = newest_profile(project.lake_root, "silver.people", version=found.version)
    assert kept is not None
    assert [kept.value(None, "rows"), kept.value("age", "mean"), kept.value("email", "nulls")] == [4, 101 / 3, 1]
    assert [kept.pipeline, kept.shares("age")] == ["people", {"30": 2 / 3, "41": 1 / 3}]
    assert kept.shares("city") == kept.shares("email") == {}
    for text in (page.read_text(), rules.read_text(), str(kept)):
        assert "ann@example.com" not in text
        assert "Bern" not in text
    record = verbs.profile(project, verbs.ProfileAsked("people", ("age",), output=page), RunContext("profile", "local"))
    assert [record.table, record.profile.rows, record.profile.column("age").number("min")] == ["bronze.people", 5, -1]
    with pytest.raises(TableError, match="did you mean 'age'"):
        verbs.profile(project, verbs.ProfileAsked("silver.people", ("aeg",)), RunContext("profile", "local"))
    with pytest.raises(TableError, match="did you mean 'people'"):
        verbs.profile(project, verbs.ProfileAsked("poeple"), RunContext("profile", "local"))
