"""`ops.lookup_cache`: what services have answered, so that no batch asks again for what is known.

Grain: one row per connection, question (path and values read of the answer) and key. Written by delta-rs, as the
ledger is; a batch reads it by Spark in one version.
"""

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import ConcurrentRunError
from lakeloop.ingestion.enrichment.asking import Answer
from lakeloop.ingestion.enrichment.http_spec import HttpLookup
from lakeloop.lake.ops_tables import created
from lakeloop.lake.tables import Lake

TABLE = "ops.lookup_cache"
SCHEMA = pa.schema({
    "rest": pa.string(), "question": pa.string(), "key": pa.string(), "answer": pa.string(),
    "asked_at": pa.timestamp("us", tz="UTC"),
})  # fmt: skip
SAME = " AND ".join(f"stored.{column} = new.{column}" for column in ("rest", "question", "key"))
ATTEMPTS = 10


@dataclass(frozen=True)
class AnswerCache:
    """The answers of one connection to one question. `key` is a JSON list of the values that stand in the path."""

    lake: Lake
    rest: str
    question: str

    @classmethod
    def of(cls, lake: Lake, spec: HttpLookup) -> "AnswerCache":
        """The cache of a declared look-up; one that reads other values of the answer is another question."""
        cache = cls(lake, spec.rest, f"{spec.path} → {', '.join(spec.paths)}")
        created(lake.root, TABLE, SCHEMA)
        return cache

    def read(self) -> DataFrame:
        """One row per key as the table is now: `_cached_key`, `_answer` (NULL: no such key there) and `_asked_at`."""
        table = self.lake.read(TABLE, DeltaTable(self.lake.path(TABLE)).version())
        mine = table.where((F.col("rest") == self.rest) & (F.col("question") == self.question))
        latest = F.max_by(F.struct("answer", "asked_at"), "asked_at").alias("latest")
        return (
            mine.groupBy(F.col("key").alias("_cached_key"))
            .agg(latest)
            .select("_cached_key", F.col("latest.answer").alias("_answer"), F.col("latest.asked_at").alias("_asked_at"))
        )

    def keep(self, answers: Mapping[str, Answer], asked_at: dt.datetime) -> None:
        """Put answers in place of earlier ones. Raises ConcurrentRunError when other runs write all the time."""
        if not answers:
            return
        rows = pa.Table.from_pylist(
            [
                {
                    "rest": self.rest,
                    "question": self.question,
                    "key": key,
                    "answer": None if answer.fields is None else json.dumps(answer.fields),
                    "asked_at": asked_at,
                }
                for key, answer in answers.items()
            ],
            schema=SCHEMA,
        )
        for _ in range(ATTEMPTS):
            merge = DeltaTable(self.lake.path(TABLE)).merge(rows, SAME, source_alias="new", target_alias="stored")
            with suppress(CommitFailedError):
                merge.when_matched_update_all().when_not_matched_insert_all().execute()
                return
        raise ConcurrentRunError(f"{TABLE}: other runs have written at each of {ATTEMPTS} attempts; run again")
