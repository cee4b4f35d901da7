"""Which quarantined rows are open, in Spark: what a replay chooses from, with the form of each."""

import re
from collections.abc import Iterable

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION
from lakeloop.ingestion.sources.replay.forms import Form, form_of_source, forms_of
from lakeloop.ingestion.sources.replay.originals import RECORD_DEFECTS
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.quarantine import Chosen
from lakeloop.lake.quarantine_decisions import QUARANTINE
from lakeloop.lake.tables import Lake
from lakeloop.quality.judgement import QUARANTINED, REASONS, VERDICT

KNOWN_DEFECT = "^(" + "|".join(map(re.escape, RECORD_DEFECTS)) + ")"
MOST_FILES = 10_000  # whose headers the driver looks up; the rows of others are left to the next replay
COLUMNS = (
    "row_id",
    "batch_id",
    "root_batch_id",
    "origin",
    "record",
    "original",
    "rows",
    "form",
    "damaged",
    "corrections",
)
CELLS = "array<struct<column:string,before:string,after:string>>"


def row_id_column() -> Column:
    """`lake.quarantine.row_id` of rows of bronze."""
    place, text = F.coalesce(F.col(POSITION)["origin"], F.lit("")), F.coalesce(F.col(ORIGINAL), F.lit(""))
    record = F.coalesce(F.col(POSITION)["record"].cast("string"), F.lit(""))
    bar = F.lit("|")
    return F.sha2(F.concat(F.col("_batch_id"), bar, record, bar, F.length(place), bar, place, bar, text), 256)


def candidates(
    lake: Lake, spec: PipelineSpec, chosen: Chosen, *, judged_by: str | None, open_batch: int | None
) -> tuple[DataFrame, tuple[Form, ...]]:
    """The open rows that are chosen, one per id, and the forms that `form` counts from 0.

    `form` is NULL where the header of a row's file is lost; a row is `damaged` whose text is not whole. `corrections`
    are those of earlier decisions. Rows that a replay has judged by the declaration `judged_by` are left out, and so
    are those of `open_batch`; of more than MOST_FILES files those of the oldest batches are taken.
    """
    rows = _open(lake, spec, chosen, open_batch)
    rows = _with_roots(lake, spec, rows, judged_by)
    if (form := form_of_source(spec.source)) is not None or not isinstance(spec.source, FilesSource):
        return rows.withColumn("form", F.lit(0)).select(*COLUMNS), (form,) if form else ()
    found = rows.select("root_batch_id", "origin").distinct().orderBy("root_batch_id", "origin").limit(MOST_FILES)
    rows = rows.join(F.broadcast(found), ["root_batch_id", "origin"], "left_semi")
    places = [(row[0], row[1]) for row in found.collect()]
    of_place = forms_of(places, spec.pipeline, spec.source, Ledger(lake.root))
    forms = tuple(dict.fromkeys(of_place.values()))
    numbered = [(batch, origin, forms.index(form)) for (batch, origin), form in of_place.items()]
    known = lake.spark.createDataFrame(numbered, "root_batch_id bigint, origin string, form int")
    return rows.join(F.broadcast(known), ["root_batch_id", "origin"], "left").select(*COLUMNS), forms


def readable_once(rows: DataFrame) -> DataFrame:
    """Rows of COLUMNS whose `form` is NULL where nothing can be made of their text, without twins.

    Two rows that are alike but for their file's header or for their corrections would be alike in the new batch, and
    nobody could tell then which is whose; the second waits for a replay of its own.
    """
    replaced = F.exists("corrections", lambda cell: cell["column"] == F.lit(ORIGINAL))
    is_whole = (~F.col("damaged") & F.col("original").isNotNull()) | F.coalesce(replaced, F.lit(False))
    rows = rows.withColumn("form", F.when(is_whole, F.col("form")))
    is_readable = F.col("form").isNotNull()
    way = F.when(is_readable, F.to_json(F.struct("form", "corrections")))
    first = F.min(way).over(Window.partitionBy("origin", "record", "original"))
    rows = rows.withColumn("_way", way).withColumn("_first", first)
    return rows.where(~is_readable | (F.col("_way") == F.col("_first"))).drop("_way", "_first")


def is_damaged(source: object, reasons: Iterable[tuple[str, str | None]], original: str | None) -> bool:
    """Whether a row's text is not whole, by its reasons; what `_open` says of it in Spark."""
    if isinstance(source, KafkaSource):  # its originals have every byte
        return False
    replaced = "\ufffd" in (original or "")
    messages = [message or "" for rule, message in reasons if rule == "malformed"]
    return any(replaced or not message.startswith(RECORD_DEFECTS) for message in messages)


def _open(lake: Lake, spec: PipelineSpec, chosen: Chosen, open_batch: int | None) -> DataFrame:
    bronze = lake.read(spec.record_table).where(F.col(VERDICT) == QUARANTINED)
    if open_batch is not None:
        bronze = bronze.where(F.col("_batch_id") != open_batch)
    origin = F.col(POSITION)["origin"]
    if chosen.row is not None:
        bronze = bronze.where(F.startswith(row_id_column(), F.lit(chosen.row)))
    if chosen.origin is not None:
        inside = F.startswith(origin, F.lit(f"{chosen.origin}!/"))
        bronze = bronze.where((origin == chosen.origin) | inside)
    replaced = F.contains(F.col(ORIGINAL), F.lit("\ufffd"))

    def is_damage(reason: Column) -> Column:
        if isinstance(spec.source, KafkaSource):  # its originals have every byte
            return F.lit(False)
        is_known = F.rlike(reason["message"], F.lit(KNOWN_DEFECT))
        return F.coalesce(reason["rule"] == F.lit("malformed"), F.lit(False)) & (~is_known | replaced)

    has_rule = (
        F.lit(True) if chosen.rule is None else F.exists(REASONS, lambda each: each["rule"] == F.lit(chosen.rule))
    )
    grouped = (
        bronze.withColumn("row_id", row_id_column())
        .groupBy("row_id")
        .agg(
            F.first("_batch_id").alias("batch_id"),
            F.first(origin).alias("origin"),
            F.first(F.col(POSITION)["record"]).alias("record"),
            F.first(ORIGINAL).alias("original"),
            F.count("*").alias("rows"),
            F.max(F.coalesce(F.exists(REASONS, is_damage), F.lit(False))).alias("damaged"),
            F.max(F.coalesce(has_rule, F.lit(False))).alias("_chosen"),
        )
    )
    return grouped.where("_chosen")


def _with_roots(lake: Lake, spec: PipelineSpec, rows: DataFrame, judged_by: str | None) -> DataFrame:
    """Open rows with the batch that they first came in with, and with what has been corrected of them."""
    if not lake.exists(QUARANTINE):
        own = {"root_batch_id": F.col("batch_id"), "corrections": F.lit(None).cast(CELLS)}
        return rows.withColumns(own)
    decided = lake.read(QUARANTINE).where(F.col("pipeline") == spec.pipeline)
    is_seen = F.col("judged_by") == judged_by if judged_by is not None else F.lit(False)
    earlier = (
        decided.where(F.col("new_row_id").isNotNull())
        .groupBy(F.col("new_row_id").alias("row_id"))
        .agg(
            F.min("root_batch_id").alias("_root"),
            F.max(is_seen).alias("_seen"),
            F.first("corrections", ignorenulls=True).alias("corrections"),
        )
    )
    return (
        rows.join(decided.select("row_id"), "row_id", "left_anti")
        .join(earlier, "row_id", "left")
        .where(~F.coalesce(F.col("_seen"), F.lit(False)))
        .withColumn("root_batch_id", F.coalesce(F.col("_root"), F.col("batch_id")))
    )


def closed_rows(lake: Lake, spec: PipelineSpec) -> DataFrame | None:
    """Closed rows of the pipeline with what became of each in words; None where no decision was ever made."""
    if not lake.exists(QUARANTINE):
        return None
    decided = lake.read(QUARANTINE).where(F.col("pipeline") == spec.pipeline)
    day = F.date_format("at", "yyyy-MM-dd HH:mm")
    batch = F.when(F.col("replayed_to").isNotNull(), F.concat(F.lit(" into batch "), F.col("replayed_to")))
    words = F.concat(
        F.lit("it was "), "status", F.lit(" by "), "user", F.lit(" at "), day, F.coalesce(batch, F.lit(""))
    )
    return decided.groupBy("row_id").agg(F.max_by(words, "at").alias("said"))
