"""SELECT without Spark: views and masks are the tables, and nothing but one query runs."""

import datetime as dt
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import QueryBuilder
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, LakeloopError, QueryError, TableError
from lakeloop.lake.masks import Mask, masked_array, masked_sql
from lakeloop.lake.open_tables import open_table, table_names
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.select import Reach, select
from lakeloop.serving.data.pages import count_rows
from lakeloop.serving.data.policies import load_policies, may_lack, reach
from tests.small_lake import write_lake

NAMES = ["bronze.people", "bronze.visits", "silver.people", "silver.visits"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_lake(tmp_path_factory.mktemp("select")).lake_root


@pytest.fixture(scope="module")
def masked(root: str) -> Reach:
    """What a reader without the right reaches: every table, masked."""
    project = Project(Path(root).parent / "conf")
    policies = load_policies(project)
    return Reach(reach(table_names(root), policies, pii=False), "geheim", may_lack(table_names(root), policies))


def plain(root: str) -> Reach:
    return Reach({name: {} for name in table_names(root)})


def rows(root: str, sql: str, seen: Reach | None = None) -> list[tuple[Any, ...]]:
    found = select(root, sql, seen or plain(root))
    return [row for batch in found.batches() for row in zip(*map(column_values, batch.columns), strict=True)]


def test_tables_and_views_of_a_lake_are_listed(root: str) -> None:
    assert table_names(root) == NAMES
    assert table_names(f"{root}/nowhere") == []


def test_a_view_shows_good_rows_of_accepted_batches_without_lakeloops_columns(root: str) -> None:
    found = select(root, "SELECT * FROM silver.visits", plain(root))
    assert found.names == ["person_id", "page", "seconds"]
    assert Counter(rows(root, "SELECT * FROM silver.visits")) == Counter(
        {("a", "/", 1.5): 2, (None, "/about", None): 1, ("b", "/", 2.0): 1}
    )


def test_a_table_at_an_older_version(root: str) -> None:
    assert [count_rows(open_table(root, "silver.visits", version)) for version in (0, 1, 2)] == [3, 4, 4]
    with pytest.raises(TableError, match=r"silver\.visits has no version 99; its latest is 2"):
        open_table(root, "silver.visits", 99)


def test_joins_order_and_times(root: str) -> None:
    sql = (
        "SELECT p.person_id, p.at, count(v.page) AS visits FROM silver.people p LEFT JOIN silver.visits v "
        "ON v.person_id = p.person_id GROUP BY p.person_id, p.at ORDER BY p.person_id DESC"
    )
    new, old = dt.datetime(2026, 5, 1, tzinfo=dt.UTC), dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
    assert rows(root, sql) == [("d", new, 0), ("c", new, 0), ("b", new, 1), ("a", old, 2)]


REFUSED = [
    "COPY (SELECT * FROM silver.people) TO '{0}/out.csv'",
    "COPY silver.people TO '{0}/out.csv'",
    "/* SELECT */ COPY (SELECT 1) TO '{0}/out.csv'",
    "-- SELECT\nCOPY (SELECT 1) TO '{0}/out.csv'",
    "(COPY (SELECT 1) TO '{0}/out.csv')",
    "SELECT 1; COPY (SELECT 1) TO '{0}/out.csv'",
    "WITH a AS (COPY (SELECT 1) TO '{0}/out.csv') SELECT * FROM a",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{0}'",
    "CREATE VIEW silver.other AS SELECT 1",
    "CREATE TABLE x AS SELECT 1",
    "DROP VIEW silver.people",
    "INSERT INTO silver.people SELECT * FROM silver.people",
    "WITH a AS (SELECT 1) INSERT INTO silver.people SELECT 1",
    "UPDATE silver.people SET city = 'x'",
    "DELETE FROM silver.people",
    "SELECT 1 INTO other",
    "SELECT * FROM silver.people; DROP VIEW silver.people",
    "SET datafusion.execution.batch_size = 1",
    "EXPLAIN SELECT * FROM silver.people",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE silver.people",
    "SHOW TABLES",
    "PREPARE p AS SELECT 1",
    "VALUES (1)",
    "",
    "   -- nothing",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_but_one_select_is_refused_and_writes_nothing(root: str, tmp_path: Path, sql: str) -> None:
    with pytest.raises(QueryError):
        rows(root, sql.replace("{0}", str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    assert rows(root, "SELECT count(*) FROM silver.people") == [(4,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '{0}/conf/base/access.yml'",
        'SELECT * FROM "{0}/secrets/analyst"',
        "SELECT * FROM read_csv('{0}/secrets/analyst')",
        "SELECT * FROM parquet_scan('{0}/lake')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM datafusion.information_schema.views",
    ],
)
def test_nothing_but_tables_in_reach_is_read(root: str, sql: str) -> None:
    with pytest.raises(LakeloopError):
        rows(root, sql.replace("{0}", str(Path(root).parent)))


def test_the_rows_beneath_have_no_name_that_could_be_guessed(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = uuid.UUID(int=7)
    monkeypatch.setattr("lakeloop.lake.select.uuid.uuid4", lambda: known)
    sql = f"SELECT count(*) FROM silver.people, rows_{known.hex}"
    with pytest.raises(TableError, match=f"no table 'rows_{known.hex}'"):
        rows(root, sql)


def test_messages_name_the_nearest_and_no_inner_names(root: str) -> None:
    with pytest.raises(TableError, match=r"no table 'silver\.peple'; did you mean 'silver\.people'"):
        rows(root, "SELECT * FROM silver.peple")
    with pytest.raises(TableError, match=r"no table 'bronze\.people'; did you mean 'silver\.people'"):
        rows(root, "SELECT * FROM bronze.people", Reach({"silver.people": {}}))
    with pytest.raises(QueryError, match=r"No field named mail\. ") as caught:
        rows(root, "SELECT mail FROM silver.people")
    assert "rows_" not in str(caught.value)
    with pytest.raises(QueryError, match="two columns have one name"):
        rows(root, "SELECT * FROM silver.people p JOIN silver.visits v ON p.person_id = v.person_id")
    with pytest.raises(QueryError, match="Cannot cast string 'Bern'"):
        rows(root, "SELECT CAST(city AS INT) FROM silver.people")


def test_columns_or_filters_of_a_masked_table_meet_the_mask_only(root: str, masked: Reach) -> None:
    assert Counter(rows(root, "SELECT city FROM silver.people", masked)) == Counter({("***",): 3, (None,): 1})
    assert rows(root, "SELECT count(*) FROM silver.people WHERE city = 'Bern'", masked) == [(0,)]
    assert rows(root, "SELECT count(*) FROM silver.people WHERE email LIKE 'ann%'", masked) == [(0,)]
    assert rows(root, "SELECT min(city), max(city), count(city) FROM silver.people", masked) == [("***", "***", 3)]
    assert rows(root, "SELECT DISTINCT upper(p.city || '') AS c FROM silver.people AS p WHERE p.city > ''", masked) == [
        ("***",)
    ]
    assert rows(
        root, "SELECT count(*) FROM (SELECT city x FROM silver.people) WHERE x IN ('Bern', 'Basel')", masked
    ) == [(0,)]
    assert rows(root, 'SELECT count(*) FROM "silver"."people" WHERE left(city, 1) = \'B\'', masked) == [(0,)]
    assert rows(root, "SELECT age FROM silver.people WHERE person_id = 'd'", masked) == [(30,)]


def test_hashes_are_equal_for_equal_values_and_depend_on_the_key(root: str, masked: Reach) -> None:
    found = dict(rows(root, "SELECT person_id, email FROM silver.people", masked))
    assert found["a"] == found["c"] != found["d"]
    assert found["b"] is None
    assert len(found["a"]) == 32
    other = dict(rows(root, "SELECT person_id, email FROM silver.people", Reach(masked.masks, "another")))
    assert other["a"] != found["a"]
    sql = "SELECT count(*) FROM silver.people s JOIN bronze.people b ON s.email = b.email AND b._verdict = 'good'"
    assert rows(root, sql, masked) == [(5,)]  # ann twice on either side, dora once
    with pytest.raises(ConfigError, match=r"access\.yml has no masking_key"):
        rows(root, "SELECT * FROM silver.people", Reach(masked.masks))


def test_the_record_hides_what_quotes_a_masked_column(root: str, masked: Reach) -> None:
    found = rows(
        root, "SELECT _original, _reasons, _rescued, email FROM bronze.people WHERE _verdict <> 'good'", masked
    )
    assert [row[:3] for row in found] == [("***", "***", None)]
    whole = "".join(str(row) for row in rows(root, "SELECT * FROM bronze.people", masked))
    assert "ann@" not in whole
    assert "Bern" not in whole
    assert "ann@" in str(rows(root, "SELECT * FROM bronze.people"))


def test_an_error_says_nothing_of_masked_values_or_of_the_key(root: str, masked: Reach) -> None:
    for sql in ("SELECT CAST(email AS INT) FROM silver.people", "SELECT sum(email) FROM silver.people"):
        with pytest.raises(QueryError) as caught:
            rows(root, sql, masked)
        assert "ann@" not in str(caught.value)
        assert "geheim" not in str(caught.value)
        assert "sha256" not in str(caught.value)


def test_a_pii_column_that_the_table_lacks_hides_the_whole_table(root: str) -> None:
    with pytest.raises(TableError, match=r"silver\.people is not shown: its pipeline declares the pii column emial"):
        rows(root, "SELECT city FROM silver.people", Reach({"silver.people": {"emial": "redact"}}))
    differs_by_case = Reach({"silver.people": {"City": "redact"}})
    assert ("***",) in rows(root, "SELECT city FROM silver.people", differs_by_case)


def test_results_come_as_they_are_asked_for(root: str) -> None:
    endless = select(root, "SELECT * FROM generate_series(1, 1000000000000)", plain(root))
    assert sum(batch.num_rows for batch in endless.first(10)) == 11


ARRAYS = st.one_of(
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5).map(
        lambda values: pa.array(values, pa.string())
    ),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5).map(
        lambda values: pa.array(values, pa.int64())
    ),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=5).map(lambda values: pa.array(values, pa.bool_())),
    st.lists(st.none() | st.dates(), min_size=1, max_size=5).map(lambda values: pa.array(values, pa.date32())),
    st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=5).map(
        lambda values: pa.array(values, pa.float64())
    ),
)


@given(ARRAYS, st.sampled_from(["redact", "hash", "partial"]))
def test_both_engines_mask_alike(values: pa.Array, mask: Mask) -> None:
    shown = masked_array(values, mask, "geheim").to_pylist()
    literals = ["NULL" if value is None else _literal(value) for value in values.to_pylist()]
    kind = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "date32[day]": "DATE", "double": "DOUBLE"}
    listed = ", ".join(f"({i}, CAST({text} AS {kind[str(values.type)]}))" for i, text in enumerate(literals))
    sql = f"SELECT {masked_sql('c', values.type, mask, 'geheim')} AS m FROM (VALUES {listed}) AS t(i, c) ORDER BY i"
    assert pa.table(QueryBuilder().execute(sql).read_all())["m"].to_pylist() == shown


def _literal(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("value", "shown"), [("4111111111111111", "***1111"), ("123456789", "***6789"), ("12345678", "***"), ("", "***")]
)
def test_partial_shows_four_characters_of_more_than_eight(value: str, shown: str) -> None:
    assert masked_array(pa.array([value, None]), "partial", None).to_pylist() == [shown, None]
