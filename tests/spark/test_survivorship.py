"""`survive`: which values make the row that stays, what becomes of the others, and which conflicts are told."""

from collections import Counter, defaultdict
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.sources.query import QueryReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import BECAUSE, CONFLICTS, Conformed, Transform, conform
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.select import Reach, select
from lakeloop.lake.tables import Lake

SCHEMA = "id string, origin string, at int, a string, b string, c string, d string"
DECLARED: dict[str, Any] = {
    "keys": ["id"], "from": "origin", "otherwise": {"prefer": ["crm", "shop"]}, "report": ["a", "b"],
    "columns": {"b": {"latest_by": "at"}, "c": "longest", "d": "most_common"},
}  # fmt: skip
RANKS = {"crm": 0, "shop": 1}
TEXTS = st.sampled_from(["x", "y", "zz", None])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", None]), st.sampled_from(["crm", "shop", "web", None]),
        st.sampled_from([1, 2, None]), TEXTS, TEXTS, TEXTS, TEXTS,
    ),
    max_size=10,
)  # fmt: skip


def survived(conformed: Conformed, *columns: str) -> Counter[tuple[Any, ...]]:
    kept = conformed.frame.where(~conformed.is_dropped)
    return Counter(tuple(row) for row in kept.select(*columns).collect())


def by_hand(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """The rows that stay, as the page says it: id, a, b, c, d, and the reported columns in conflict."""
    groups: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        groups[row[0]].append(row)
    alone = [(None, *row[3:], ()) for row in groups.pop(None, [])]
    found = []
    for key, group in groups.items():

        def best(at: int, score: Any, group: list[tuple[Any, ...]] = group) -> str | None:
            return min(((score(row), row[at]) for row in group if row[at] is not None), default=(0, None))[1]

        common = Counter(row[6] for row in group)
        conflicts = tuple(
            name
            for at, name in ((3, "a"), (4, "b"))
            if any(
                one[1] != two[1] and one[at] != two[at] and None not in (one[at], two[at])
                for one in group
                for two in group
            )
        )
        found.append((
            key,
            best(3, lambda row: RANKS.get(row[1], 2)),
            best(4, lambda row: -(row[2] or 0)),
            best(5, lambda row: -len(row[5])),
            best(6, lambda row, common=common: -common[row[6]]),
            conflicts,
        ))  # fmt: skip
    return Counter([*found, *alone])


@settings(max_examples=8)
@given(rows=ROWS, seed=st.randoms(use_true_random=False), partitions=st.integers(1, 3))
def test_the_rows_that_stay_do_not_depend_on_the_order(
    spark: SparkSession, rows: list[Any], seed: Any, partitions: int
) -> None:
    step, kept = Transform.model_validate({"survive": DECLARED}), []
    for order, parts in ((rows, 1), (seed.sample(rows, len(rows)), partitions)):
        frame = spark.createDataFrame(order, SCHEMA).repartition(parts)
        conformed = conform(Conformed(frame), [step])
        names = F.coalesce(F.transform(CONFLICTS, lambda one: one["column"]), F.array()).alias("names")
        found = conformed.frame.select(*frame.columns, names, conformed.is_dropped.alias("gone"))
        every = Counter((*row[:7], tuple(row[7]), row[8]) for row in found.collect())
        assert sum(every.values()) == len(rows)
        kept.append(every)
    assert kept[0] == kept[1]
    staying = Counter((row[0], *row[3:8]) for row in kept[0].elements() if not row[8])
    assert staying == by_hand(rows)


def test_conflicts_have_every_value_with_its_source(spark: SparkSession) -> None:
    said = [
        ("1", "shop", "x", "p"), ("1", "crm", "y", "p"), ("1", "crm", "x", None), ("1", None, "x", "q"),
        ("2", "crm", "x", None), ("2", "crm", "y", None),
    ]  # fmt: skip
    rows = [(id_, origin, 1, a, b, None, None) for id_, origin, a, b in said]
    conformed = conform(
        Conformed(spark.createDataFrame(rows, SCHEMA)), [Transform.model_validate({"survive": DECLARED})]
    )
    (one,) = conformed.frame.where(F.col(CONFLICTS).isNotNull()).collect()
    assert one["id"] == "1"
    assert [(each["column"], [tuple(value) for value in each["values"]]) for each in one[CONFLICTS]] == [
        ("a", [(None, "x"), ("crm", "x"), ("crm", "y"), ("shop", "x")]),
        ("b", [(None, "q"), ("crm", "p"), ("shop", "p")]),
    ]
    words = [finding.violation.alias(finding.name) for finding in conformed.findings]
    assert conformed.frame.where("id = '1'").select(*words).dropna().first() == (
        "a: NULL has x, crm has x, crm has y, shop has x", "b: NULL has q, crm has p, shop has p",
    )  # fmt: skip


def test_what_an_earlier_step_dropped_takes_no_part(spark: SparkSession) -> None:
    rows = [("1", "crm", 1, "x", None, None, None), ("1", "crm", 2, None, "new", None, None)]
    steps = [{"dedupe": {"keys": ["id", "origin"], "latest_by": "at"}}, {"survive": DECLARED}]
    frame = spark.createDataFrame(rows, SCHEMA)
    conformed = conform(Conformed(frame), [Transform.model_validate(step) for step in steps])
    assert survived(conformed, "a", "b") == Counter({(None, "new"): 1})
    assert Counter(row[0] for row in conformed.frame.select(f"{BECAUSE}.rule").collect()) == Counter(["dedupe", None])


def test_values_with_parts_survive_and_lengths_are_those_of_texts(spark: SparkSession) -> None:
    frame = spark.sql(
        "SELECT * FROM VALUES ('1', 'crm', map('a', 2), array(1, 2), 1), ('1', 'shop', map('a', 1), NULL, 2), "
        "('1', 'shop', map('a', 1), array(3), 2) AS t(id, origin, m, l, n)"
    )
    declared = {"keys": ["id"], "from": "origin", "columns": {"n": {"prefer": ["shop"]}}, "report": ["m"]}
    step = Transform.model_validate({"survive": declared | {"otherwise": "most_common"}})
    row = conform(Conformed(frame.withColumn("m", F.struct(F.col("m")["a"].alias("a")))), [step])
    (kept,) = row.frame.where(~row.is_dropped).collect()
    assert (kept["m"]["a"], kept["l"], kept["n"]) == (1, [1, 2], 2)
    assert [tuple(value) for value in kept[CONFLICTS][0]["values"]] == [("crm", '{"a":2}'), ("shop", '{"a":1}')]
    longest = Transform.model_validate({"survive": declared | {"otherwise": "longest"}})
    with pytest.raises(TableError, match=r"longest compares texts, and [ml] is "):
        conform(Conformed(frame), [longest])
    missing = Transform.model_validate({"survive": declared | {"otherwise": {"latest_by": "att"}}})
    with pytest.raises(TableError, match="survive: no column 'att'"):
        conform(Conformed(frame), [missing])


def test_a_golden_record_of_two_tables_and_its_conflicts(spark: SparkSession, lake: Lake) -> None:
    for name, values in (
        ("crm", "('1', 'a@x', 'long name'), ('2', NULL, 'Bo'), (NULL, 'n@x', 'No'), ('9', 'bad', 'Nine')"),
        ("shop", "('1', 'b@x', 'name'), ('2', 'b@x', 'Bo'), ('3', 'c@x', NULL), ('9', 'i@x', 'Neun')"),
    ):
        lake.write(f"silver.{name}", spark.sql(f"SELECT * FROM VALUES {values} AS t(id, email, name)"), mode="append")
    query = "SELECT 'crm' AS origin, * FROM c UNION ALL SELECT 'shop', * FROM s"
    declared = {"keys": ["id"], "from": "origin", "columns": {"name": "longest"}, "report": ["email", "name"]}
    spec = PipelineSpec.model_validate({
        "pipeline": "golden", "description": "Customers, one row per customer",
        "source": {"inputs": {"c": "silver.crm", "s": "silver.shop"}, "query": query},
        "transforms": [{"survive": declared | {"otherwise": {"prefer": ["crm", "shop"]}}}],
        "rules": [{"matches": {"column": "email", "pattern": ".+@.+"}}],
        "sink": {"table": "gold.golden", "mode": "overwrite"}, "columns": {"email": {"tags": ["pii"]}},
    })  # fmt: skip
    source = QueryReader(lake, spec.source, "golden")  # type: ignore[arg-type]
    entry = Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda text: None)
    # The rule judges what survives: of 9 the value that crm has, which is preferred and no address.
    assert entry.counts == RowCounts(read=8, good=4, quarantined=1, dropped=3)
    columns = ["id", "email", "name", "origin"]
    assert Counter(tuple(row) for row in lake.read("gold.golden").select(*columns).collect()) == Counter([
        ("1", "a@x", "long name", "crm"), ("2", "b@x", "Bo", "crm"), ("3", "c@x", None, "shop"),
        (None, "n@x", "No", "crm"),
    ])  # fmt: skip
    results = DeltaTable(f"{lake.root}/ops/rule_results").to_pyarrow_table().to_pylist()
    assert sorted((row["rule"], row["severity"], row["violations"]) for row in results) == [
        ("email_conflicts", "warn", 2), ("email_matches", "error", 1), ("name_conflicts", "warn", 2),
    ]  # fmt: skip
    told = "FROM bronze.golden WHERE _verdict = 'good' AND _conflicts IS NOT NULL"
    sql = f"SELECT id, unnest(_conflicts) AS conflict {told}"
    found = select(lake.root, sql, Reach({"bronze.golden": {}}))
    rows = [row for batch in found.batches() for row in zip(*map(column_values, batch.columns), strict=True)]
    assert [(id_, conflict["column"], [value["value"] for value in conflict["values"]]) for id_, conflict in rows] == [
        ("1", "email", ["a@x", "b@x"]), ("1", "name", ["long name", "name"]),
    ]  # fmt: skip
    reach = Reach({"bronze.golden": {"_conflicts": "redact"}})
    masked = select(lake.root, f"SELECT _conflicts {told}", reach)
    assert [batch.column(0).to_pylist() for batch in masked.batches()] == [["***"]]
