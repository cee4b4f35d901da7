"""The numbers that measured rules add the next batch to: `ops.rule_states`.

Grain: pipeline, rule, stretch of time (empty: all rows) and batch; of each stretch the newest row counts. A row has the
numbers up to and with its batch. What newer rows have replaced is deleted from time to time, so the table has about as
many rows as there are stretches.
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.core.run_record import now
from lakeloop.lake.ops_tables import TIME, append_rows, read_columns, uri_of

log = logs.get(__name__)
RULE_STATES = "ops.rule_states"
SCHEMA = pa.schema({
    "pipeline": pa.string(), "rule": pa.string(), "version": pa.string(), "stretch": pa.string(),
    "batch_id": pa.int64(), "numbers": pa.string(), "at": TIME,
})  # fmt: skip
PRUNE_EVERY = 50  # batches
States = Mapping[str, Mapping[str, Mapping[str, Any]]]


def states_before(root: str, pipeline: str, batch_id: int, versions: Mapping[str, str]) -> States:
    """The numbers by rule and stretch as they were before a batch, of rules in these versions.

    A rule that was changed since measured something else, and begins anew.
    """
    found = read_columns(root, RULE_STATES, [("pipeline", "=", pipeline), ("batch_id", "<", batch_id)])
    states: dict[str, dict[str, dict[str, Any]]] = {}
    if found is not None:
        for row in found.sort_by([("batch_id", "ascending"), ("at", "ascending")]).to_pylist():
            if versions.get(row["rule"]) == row["version"]:
                states.setdefault(row["rule"], {})[row["stretch"]] = json.loads(row["numbers"])
    return states


def append_states(root: str, pipeline: str, batch_id: int, states: States, versions: Mapping[str, str]) -> None:
    """Record the numbers up to and with a batch; doing it again changes nothing that counts."""
    at = now()
    rows = [
        (pipeline, rule, versions[rule], stretch, batch_id, json.dumps(numbers), at)
        for rule, stretches in states.items()
        for stretch, numbers in stretches.items()
    ]
    if not rows:
        return
    append_rows(root, RULE_STATES, rows, SCHEMA)
    if batch_id and batch_id % PRUNE_EVERY == 0:
        _prune(root, pipeline, batch_id)


def _prune(root: str, pipeline: str, batch_id: int) -> None:
    """Delete rows before the last batch that rows up to it have replaced; what goes wrong is tried again later."""
    newest: dict[tuple[str, str], int] = {}
    found = read_columns(root, RULE_STATES, [("pipeline", "=", pipeline), ("batch_id", "<", batch_id)])
    for row in [] if found is None else found.select(["rule", "stretch", "batch_id"]).to_pylist():
        key = (row["rule"], row["stretch"])
        newest[key] = max(newest.get(key, -1), row["batch_id"])
    kept = ", ".join(str(each) for each in sorted({*newest.values(), batch_id}))
    try:
        DeltaTable(uri_of(root, RULE_STATES)).delete(
            f"pipeline = '{pipeline}' AND batch_id < {batch_id} AND batch_id NOT IN ({kept})"
        )
    except (DeltaError, OSError) as error:
        log.warning("old states of rules stay for now", pipeline=pipeline, error=str(error))
