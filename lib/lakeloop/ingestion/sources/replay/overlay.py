"""Corrections onto rows that were parsed from their originals: cells replaced, and the original put back."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType

from lakeloop.ingestion.sources.kafka.messages import of_text
from lakeloop.ingestion.sources.line_parsers import MISSING, TEXT
from lakeloop.ingestion.sources.protocol import AS_JSON, ORIGINAL, POSITION, Extract
from lakeloop.ingestion.sources.replay.open_rows import CELLS
from lakeloop.ingestion.sources.replay.originals import CARRIED
from lakeloop.ingestion.transforms import strict_cast, uncastable
from lakeloop.quality.row_rules.columns import value_of

ROW_ID = "row_id"  # in `_position` of a rehearsal, so that a verdict is told of its row
NOW = "_now"
CARRIED_TYPE = "struct<row_id:string,original:string,cells:map<string,string>>"


def with_corrections(rows: DataFrame) -> DataFrame:
    """Landed rows as `_text` to be parsed, `_position` and `form`, with what `corrected` needs."""
    corrections = F.coalesce(F.col("corrections"), F.array().cast(CELLS))
    replaced = F.get(F.filter(corrections, lambda cell: cell["column"] == F.lit(ORIGINAL)), F.lit(0))["after"]
    cells = F.filter(corrections, lambda cell: cell["column"] != F.lit(ORIGINAL))
    as_map = F.map_from_arrays(cells["column"], cells["after"])
    kept = F.struct("row_id", "original", as_map.alias("cells"))
    carried = F.to_json(kept, {"ignoreNullFields": "false"}).alias(CARRIED)
    place = F.struct("origin", "record", carried).alias(POSITION)
    return rows.select("form", F.coalesce(replaced, F.col("original")).alias(TEXT), place, "rows")


def corrected(extract: Extract, columns: Collection[str], *, with_ids: bool = False) -> Extract:
    """Rows whose corrections among `columns` stand in their cells, with the original that came in.

    A text that is no value of its column's type quarantines its row as `<column>_is_castable`.
    """
    frame = extract.frame.withColumn(NOW, F.from_json(F.col(POSITION)[CARRIED], CARRIED_TYPE))
    cells, findings, lost_ones = F.col(NOW)["cells"], list(extract.findings), []
    changed: dict[str, Column] = {}
    for column in frame.columns:
        if column not in columns or column.startswith("_"):
            continue
        kind, text = frame.schema[column].dataType, F.try_element_at(cells, F.lit(column))
        is_corrected = F.map_contains_key(cells, column)
        if isinstance(kind, StringType):
            changed[column] = F.when(is_corrected, text).otherwise(value_of(column))
            continue
        given, lost = f"_given_{column}", f"_misgiven_{column}"
        frame = frame.withColumn(given, text)
        value = _typed(given, kind)
        changed[column] = F.when(is_corrected, value).otherwise(value_of(column))
        changed[lost] = F.when(value.isNull(), value_of(given))
        findings.append(uncastable(f"{column}_is_castable", column, lost, kind.simpleString()))
        lost_ones.append(given)
    if MISSING in frame.columns:
        left = F.array_except(F.split(MISSING, ","), F.map_keys(cells))
        changed[MISSING] = F.when(F.size(left) > 0, F.array_join(left, ","))
    original = F.col(ORIGINAL)
    if isinstance(frame.schema[ORIGINAL].dataType, StructType):
        original = F.to_json(ORIGINAL, AS_JSON)
    id_ = [F.col(NOW)["row_id"].alias(ROW_ID)] if with_ids else []
    place = F.struct(F.col(POSITION)["origin"].alias("origin"), F.col(POSITION)["record"].alias("record"), *id_)
    changed[ORIGINAL] = F.coalesce(F.col(NOW)["original"], original)
    frame = frame.withColumns(changed | {POSITION: place}).drop(NOW, *lost_ones)
    return Extract(frame, tuple(findings))


def _typed(column: str, kind: DataType) -> Column:
    if isinstance(kind, BinaryType):
        return of_text(value_of(column))
    if isinstance(kind, ArrayType | MapType | StructType):
        return F.from_json(value_of(column), kind.json())
    return strict_cast(column, kind.simpleString(), StringType())
