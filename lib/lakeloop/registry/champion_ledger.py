"""Who was champion when, and why: `ops.champions`, which rows only come to.

Grain: one row per switch of a model's champion. The alias in MLflow follows the row; where a process was killed between
the two, the row says what was meant, and the next switch or `lakeloop champion promote` brings the alias after it.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

CHAMPIONS = "ops.champions"
How = Literal["train", "promote", "rollback"]
SCHEMA = pa.schema({
    "model": pa.string(), "version": pa.int64(), "from_version": pa.int64(), "how": pa.string(), "at": TIME,
    "user": pa.string(), "environment": pa.string(), "run_id": pa.string(), "reason": pa.string(),
    "training_run_id": pa.string(), "table": pa.string(), "table_version": pa.int64(), "figures": pa.string(),
    "gates": pa.string(), "rules": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """Something that a version has to be before it answers: what was asked, whether it is so, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Switch:
    """One row of `ops.champions`: `version` answers since `at`, until the next row of its model.

    `from_version` is None for the first champion. `figures` are those of its held-out rows, `table_version` and
    `rules` (a hash by pipeline) what it learned from.
    """

    model: str
    version: int
    from_version: int | None
    how: How
    at: dt.datetime
    user: str
    environment: str
    run_id: str
    reason: str
    training_run_id: str
    table: str
    table_version: int
    figures: Mapping[str, float]
    gates: tuple[Gate, ...]
    rules: Mapping[str, str]


def record_switch(root: str, switch: Switch) -> None:
    """Append a switch."""
    gates = json.dumps([vars(gate) for gate in switch.gates])
    row = (
        switch.model, switch.version, switch.from_version, switch.how, switch.at, switch.user, switch.environment,
        switch.run_id, switch.reason, switch.training_run_id, switch.table, switch.table_version,
        json.dumps(dict(switch.figures)), gates, json.dumps(dict(switch.rules)),
    )  # fmt: skip
    append_rows(root, CHAMPIONS, [row], SCHEMA)


def switches(root: str, model: str) -> list[Switch]:
    """The switches of a model, oldest first."""
    found = [_switch(row) for row in read_rows(root, CHAMPIONS, [("model", "=", model)])]
    return sorted(found, key=lambda switch: switch.at)


def champion_at(root: str, model: str, time: dt.datetime) -> Switch | None:
    """The switch that made the champion of a moment; None before the first one."""
    return next((switch for switch in reversed(switches(root, model)) if switch.at <= time), None)


def _switch(row: dict[str, Any]) -> Switch:
    gates = tuple(Gate(**gate) for gate in json.loads(row["gates"]))
    return Switch(**row | {"gates": gates, "figures": json.loads(row["figures"]), "rules": json.loads(row["rules"])})
