from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark.errors import AnalysisException

from lakeloop.core.errors import TableError
from lakeloop.core.spark_failures import SPARK_FAILURES
from lakeloop.lake.tables import Commit, Lake

TABLE = "silver.things"


def numbers(lake: Lake, version: int | None = None) -> list[int]:
    return sorted(row["n"] for row in lake.read(TABLE, version).collect())


def write(lake: Lake, *values: int, batch_id: int | None = None, mode: str = "append", writer: str = "w") -> None:
    frame = lake.spark.createDataFrame([(value,) for value in values], "n int").coalesce(1)
    commit = None if batch_id is None else Commit(writer, batch_id, "run")
    lake.write(TABLE, frame, mode=mode, commit=commit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reference",
    ["things", "a.b.c", "Silver.things", "silver.things\n", "silver/../../etc.x", ".things", "silver.", "1.x", ""],
)
def test_a_reference_is_schema_and_name_in_lower_case(lake: Lake, reference: str) -> None:
    with pytest.raises(TableError, match=r"is not a table reference; write schema\.name in lower case"):
        lake.path(reference)
    assert lake.path(TABLE) == f"{lake.root}/silver/things"


def test_a_table_that_was_never_written_is_named(lake: Lake) -> None:
    assert not lake.exists(TABLE)
    assert lake.schema(TABLE) is None
    assert lake.find_commit(TABLE, Commit("w", 0, "run")) is None
    for read in (lake.read, lake.version):
        with pytest.raises(TableError) as caught:
            read(TABLE)
        assert str(caught.value) == (
            f"the table {TABLE} does not exist in {lake.root}; run the pipeline that writes it first"
        )


def test_a_folder_that_is_no_delta_table_does_not_exist_as_a_table(lake: Lake) -> None:
    Path(lake.path(TABLE)).mkdir(parents=True)
    assert not lake.exists(TABLE)


def test_a_batch_is_committed_once_and_the_next_one_is_not_held_up(lake: Lake) -> None:
    write(lake, 1, 2, batch_id=0)
    write(lake, 3, batch_id=1)
    write(lake, 7, batch_id=0)
    write(lake, 3, batch_id=1)
    assert numbers(lake) == [1, 2, 3]
    assert lake.version(TABLE) == 1
    assert numbers(lake, version=0) == [1, 2]
    write(lake, 9, batch_id=0, writer="another")
    write(lake, 9)
    assert numbers(lake) == [1, 2, 3, 9, 9]


def test_a_batch_is_found_in_the_history_whichever_run_asks(lake: Lake) -> None:
    write(lake, 1, batch_id=0)
    write(lake, 2)
    assert lake.find_commit(TABLE, Commit("w", 0, "a later run")) == ("run", 1)
    for other in (Commit("w", 1, "run"), Commit("v", 0, "run"), Commit("w", 0, "run").withdrawal):
        assert lake.find_commit(TABLE, other) is None


def test_a_withdrawal_is_a_commit_of_its_own_and_happens_once(lake: Lake) -> None:
    commit = Commit("w", 0, "run")
    write(lake, 1, 2, batch_id=0)
    with lake.committing(TABLE, commit.withdrawal):
        lake.handle(TABLE).delete("n = 1")
    assert numbers(lake) == [2]
    assert lake.find_commit(TABLE, commit.withdrawal) == ("run", 0)
    with lake.committing(TABLE, commit.withdrawal):
        lake.handle(TABLE).delete("n = 2")
    assert numbers(lake) == [2]
    write(lake, 5, batch_id=1)
    assert numbers(lake) == [2, 5]


def test_the_identity_of_a_batch_does_not_outlive_its_block(lake: Lake) -> None:
    write(lake, 1)
    names = [f"spark.databricks.delta.{n}" for n in ("write.txnAppId", "write.txnVersion", "commitInfo.userMetadata")]
    found: list[str | None] = []

    def fail() -> None:
        with lake.committing(TABLE, Commit("w", 0, "run")):
            found.extend(lake.spark.conf.get(name, None) for name in names)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found == ["w", "0", Commit("w", 0, "run").metadata]
    assert [lake.spark.conf.get(name, None) for name in names] == [None] * 3


def test_overwrite_replaces_rows_and_columns_and_append_adds_columns(lake: Lake) -> None:
    write(lake, 1, 2)
    wider = lake.spark.createDataFrame([(3, "x")], "n int, t string")
    lake.write(TABLE, wider, mode="append")
    expected = lake.spark.createDataFrame([(1, None), (2, None), (3, "x")], "n int, t string")
    assert_df_equality(lake.read(TABLE), expected, ignore_row_order=True)
    lake.write(TABLE, lake.spark.createDataFrame([("y",)], "t string"), mode="overwrite")
    assert_df_equality(lake.read(TABLE), lake.spark.createDataFrame([("y",)], "t string"))
    assert lake.schema(TABLE) == lake.spark.createDataFrame([], "t string").schema


def test_an_append_of_another_type_is_refused_and_changes_nothing(lake: Lake) -> None:
    write(lake, 1)
    with pytest.raises(AnalysisException, match="n"):
        lake.write(TABLE, lake.spark.createDataFrame([(["x"],)], "n array<string>"), mode="append")
    assert numbers(lake) == [1]


def test_partitions_are_folders(lake: Lake) -> None:
    frame = lake.spark.createDataFrame([(1, "a"), (2, "b")], "n int, p string")
    lake.write(TABLE, frame, mode="append", partition_by=["p"])
    assert {folder.name for folder in Path(lake.path(TABLE)).glob("p=*")} == {"p=a", "p=b"}


def jobs(lake: Lake, value: int, batch_id: int) -> int:
    """How many Spark jobs a write takes."""
    group = f"write {value}"
    lake.spark.sparkContext.setJobGroup(group, group)
    write(lake, value, batch_id=batch_id)
    found = lake.spark.sparkContext.statusTracker().getJobIdsForGroup(group)
    lake.spark.sparkContext._jsc.clearJobGroup()
    return len(found)


def test_a_write_after_a_look_ahead_has_less_to_do_and_does_the_same(lake: Lake) -> None:
    lake.look_ahead(TABLE)
    for batch_id in range(2):
        write(lake, batch_id, batch_id=batch_id)
    without = jobs(lake, 2, 2)
    lake.look_ahead(TABLE)
    assert jobs(lake, 3, 3) < without
    lake.look_ahead(TABLE)
    assert jobs(lake, 9, 3) == 0  # that batch is there
    assert numbers(lake) == [0, 1, 2, 3]


def test_a_look_ahead_at_a_damaged_table_leaves_the_words_to_the_write(lake: Lake) -> None:
    write(lake, 1, batch_id=0)
    (Path(lake.path(TABLE)) / f"_delta_log/{0:020}.json").write_text("{ torn", encoding="utf-8")
    lake.spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    lake.look_ahead(TABLE)
    with pytest.raises(SPARK_FAILURES):
        write(lake, 2, batch_id=1)
