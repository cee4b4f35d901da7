"""Small files become a large one, and the rows stay."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakeloop.core.errors import TableError
from lakeloop.lake.compaction import compact
from lakeloop.lake.ops_tables import append_rows, read_rows, uri_of

SCHEMA = pa.schema({"id": pa.string()})


def test_files_are_joined_and_rows_stay(tmp_path: Path) -> None:
    root = str(tmp_path)
    for id_ in ("a", "b", None, "b"):
        append_rows(root, "silver.t", [(id_,)], SCHEMA)
    assert compact(root, "silver.t") == 4
    assert len(DeltaTable(uri_of(root, "silver.t")).file_uris()) == 1
    assert sorted(str(row["id"]) for row in read_rows(root, "silver.t")) == ["None", "a", "b", "b"]
    assert compact(root, "silver.t") == 0


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"silver\.t does not exist in .*; run the pipeline that writes it first"):
        compact(str(tmp_path), "silver.t")
