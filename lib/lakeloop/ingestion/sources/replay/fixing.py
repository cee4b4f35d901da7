"""Corrections of open rows in Spark: each row meets what is asked of it on the executors, none on the driver."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.replay.corrections import Corrected, correct, state_of, text_of
from lakeloop.ingestion.sources.replay.edits import Edit
from lakeloop.ingestion.sources.replay.open_rows import CELLS
from lakeloop.ingestion.sources.replay.values import OriginalReader
from lakeloop.lake.quarantine import SHOWN
from lakeloop.lake.quarantine_decisions import CELLS as ARROW_CELLS
from lakeloop.lake.storage import filesystem

EDITS_PER_FILE = 50_000
EDITS = "line bigint, asked_row string, shown string, asked map<string,string>"
ARROW_EDITS = pa.schema([
    ("line", pa.int64()), ("asked_row", pa.string()), ("shown", pa.string()),
    ("asked", pa.map_(pa.string(), pa.string())),
])  # fmt: skip
# What a row needs on the executors, and what comes back beside it.
NEEDED = ("row_id", "original", "form", "damaged", "corrections", "shown", "asked")
SEVERAL = "several rows begin so; give more digits"
TWICE = "the file has it twice; leave one of the two"
UNKNOWN = "no such row of the pipeline was ever quarantined"


@dataclass(frozen=True)
class Fixer:
    """Decides what becomes of rows; travels to the executors. `has_masks`: cells may be shown as masks."""

    reader: OriginalReader
    has_masks: bool = False

    def fix(self, rows: Iterable[dict[str, Any]]) -> Iterator[Corrected]:
        """What becomes of each row of NEEDED; nothing of one that no row was found for."""
        parse = self.reader.parser()
        for row in rows:
            if row["row_id"] is None:
                yield Corrected()
                continue
            earlier = row["corrections"] or ()
            text = text_of(row["original"], earlier)
            state = state_of(text, parse(row["form"], text), earlier, is_damaged=row["damaged"])
            asked = dict(row["asked"])
            yield correct(state, row["original"], earlier, asked, shown=row["shown"], has_masks=self.has_masks)


def edits_frame(spark: SparkSession, edits: Iterable[Edit]) -> DataFrame:
    """A few edits as a frame."""
    rows = [(edit.line, edit.row, edit.shown, dict(edit.cells)) for edit in edits]
    return spark.createDataFrame(rows, EDITS)


def land_edits(edits: Iterator[Edit], folder: str) -> None:
    """Write edits as Parquet where executors reach them, EDITS_PER_FILE at a time."""
    system, path = filesystem(folder)
    system.create_dir(path)
    for number in count():
        if not (piece := list(islice(edits, EDITS_PER_FILE))):
            return
        rows = [
            {"line": edit.line, "asked_row": edit.row, "shown": edit.shown, "asked": list(edit.cells.items())}
            for edit in piece
        ]
        table = pa.Table.from_pylist(rows, schema=ARROW_EDITS)
        parquet.write_table(table, f"{path}/{number:05}.parquet", filesystem=system)


def edits_of_all(rows: DataFrame, cells: dict[str, str | None]) -> DataFrame:
    """Open rows, each beside the same cells."""
    pairs = [F.lit(each).cast("string") for pair in cells.items() for each in pair]
    own = {"line": F.lit(None).cast("bigint"), "shown": F.lit(None).cast("string"), "asked": F.create_map(*pairs)}
    return rows.withColumns(own | {"left_why": _nothing(), "refused": _nothing()})


def edits_of_rows(rows: DataFrame, edits: DataFrame, closed: DataFrame | None) -> DataFrame:
    """Each edit beside the open row that it is about; with `left_why` where that is closed, `refused` where none is it.

    `closed` has `row_id` and `said`, what became of a row.
    """
    begins = F.col("asked_row").substr(1, SHOWN)
    same = (F.col("row_id").substr(1, SHOWN) == begins) & F.startswith(F.col("row_id"), F.col("asked_row"))
    joined = edits.join(rows, same, "left")
    matches = F.count("row_id").over(Window.partitionBy("line"))
    times = F.count("*").over(Window.partitionBy(F.coalesce("row_id", "asked_row")))
    joined = joined.withColumns({"_matches": matches, "_times": times})
    said = _nothing()
    if closed is not None:
        gone = closed.withColumnRenamed("row_id", "closed_id")
        was = (F.col("closed_id").substr(1, SHOWN) == begins) & F.startswith(F.col("closed_id"), F.col("asked_row"))
        joined = joined.join(gone.dropDuplicates(["closed_id"]), was, "left")
        said = F.col("said")
    is_lacking = F.col("row_id").isNull()
    refused = F.when(F.col("_matches") > 1, SEVERAL).when(F.col("_times") > 1, TWICE)
    refused = refused.when(is_lacking & said.isNull(), UNKNOWN)
    return joined.withColumns({"left_why": F.when(is_lacking, said), "refused": refused})


def fixed(beside: DataFrame, fixer: Fixer) -> DataFrame:
    """Rows beside their edits with what becomes of them.

    `changes` and `corrections` are what `ops.quarantine` keeps, `left_why` and `refused` say why a row is not fixed;
    rows that nothing changes of are gone.
    """
    schema = beside.schema
    names = schema.names
    given = beside.select(*names)
    results = pa.schema([
        ("changes", ARROW_CELLS), ("corrected", ARROW_CELLS), ("found_left", pa.string()),
        ("found_refused", pa.string()),
    ])  # fmt: skip

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = list(fixer.fix(batch.select(list(NEEDED)).to_pylist()))
            columns = [
                pa.array([[dict(cell) for cell in each.changes] for each in found], ARROW_CELLS),
                pa.array([[dict(cell) for cell in each.corrections] for each in found], ARROW_CELLS),
                pa.array([each.left for each in found], pa.string()),
                pa.array([each.refused for each in found], pa.string()),
            ]
            fields = [*batch.schema, *results]
            yield pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=pa.schema(fields))

    types = f"changes {CELLS}, corrected {CELLS}, found_left string, found_refused string"
    known = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in schema)
    decided = given.mapInArrow(read, f"{known}, {types}").withColumns(
        {
            "left_why": F.coalesce("left_why", "found_left"),
            "refused": F.coalesce("refused", "found_refused"),
            "corrections": F.col("corrected"),
        }
    )
    is_told = (F.size("changes") > 0) | F.col("left_why").isNotNull() | F.col("refused").isNotNull()
    return decided.where(is_told).drop("corrected", "found_left", "found_refused")


def _nothing() -> Any:
    return F.lit(None).cast("string")
