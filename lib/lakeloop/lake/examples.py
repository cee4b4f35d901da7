"""Some quarantined rows of a batch, read from bronze without Spark."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.compute as pc
from deltalake import DeltaTable

from lakeloop.lake.ops_tables import has_table, uri_of

PER_REASON = 5
ROWS_LOOKED_AT = 10_000
ORIGINAL_CHARACTERS = 160


class Example(NamedTuple):
    """One reason of one quarantined row. `origin` is the file's name without its folder, or what the source calls it.

    `record` is a line number for text files. `original` is the record as it arrived, cut at 160 characters; NULL where
    the source keeps none.
    """

    pipeline: str
    origin: str
    record: int | None
    rule: str
    message: str
    original: str | None


def quarantined_examples(root: str, pipeline: str, batch_id: int) -> list[Example]:
    """At most five rows per reason of a batch, by reason and place; of a huge batch, among its first 10,000 bad rows.

    Memory does not grow with the batch. Empty where the pipeline has no bronze table yet.
    """
    table, taken, examples = f"bronze.{pipeline}", Counter[str](), list[Example]()
    if not has_table(root, table):
        return []
    for row in _quarantined(uri_of(root, table), batch_id):
        position = row["_position"] or {"origin": "", "record": None}
        for reason in row["_reasons"] or []:
            taken[reason["rule"]] += 1
            if taken[reason["rule"]] <= PER_REASON:
                origin = (position["origin"] or "").rstrip("/").rpartition("/")[2]
                place, text = (origin, position["record"]), _shortened(row["_original"])
                examples.append(Example(pipeline, *place, reason["rule"], reason["message"], text))
    return sorted(examples, key=lambda example: (example.rule, example.origin, example.record or 0))


def _shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= ORIGINAL_CHARACTERS else f"{text[: ORIGINAL_CHARACTERS - 1]}…"


def _quarantined(uri: str, batch_id: int) -> Iterator[dict[str, Any]]:
    bronze, left = DeltaTable(uri).to_pyarrow_dataset(), ROWS_LOOKED_AT
    # Only the folder of this verdict is read, and of it the files whose statistics may hold the batch.
    wanted = (pc.field("_verdict") == "quarantined") & (pc.field("_batch_id") == batch_id)
    for batch in bronze.to_batches(columns=["_position", "_reasons", "_original"], filter=wanted, batch_readahead=1):
        rows = batch.slice(0, left).to_pylist()
        yield from rows
        left -= len(rows)
        if not left:
            return
