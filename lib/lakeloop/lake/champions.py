"""The ledger of models: which version held which role when, who put it there and why, and what the gates said.

Grain of `ops.champions`: one row per switch of one role of one model, or per promotion that a gate refused; rows only
come to it. `number` counts the rows of the table in their order. The holder of a role at a time is the last
row of it with `effective_at` no later; `effective_at` is ahead of `at` by the time that serving processes need to load
the version, so that all of them change at one moment.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import fs

from lakeloop.core.errors import ConcurrentRunError, StorageError
from lakeloop.core.run_record import now
from lakeloop.lake.ops_tables import TIME, append_against, created, read_rows
from lakeloop.lake.storage import filesystem, write_whole

CHAMPIONS = "ops.champions"
RELEASES = "_releases"
LEAD = dt.timedelta(seconds=1.5)
TRIES = 20

Role = Literal["champion", "canary", "challenger"]
Action = Literal["promoted", "rolled_back", "withdrawn", "refused"]

SCHEMA = pa.schema({
    "number": pa.int64(), "model": pa.string(), "role": pa.string(), "action": pa.string(), "version": pa.int64(),
    "previous": pa.int64(), "at": TIME, "effective_at": TIME, "who": pa.string(), "why": pa.string(),
    "run_id": pa.string(), "training_run": pa.string(), "release": pa.string(), "percent": pa.float64(),
    "tables": pa.string(), "rules": pa.string(), "metrics": pa.string(), "gates": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion: what was found, what is wanted, and whether that holds."""

    name: str
    holds: bool
    found: str
    wanted: str


@dataclass(frozen=True)
class Switch:
    """One row of the ledger. `version` None: nobody holds the role from then on.

    `release` is the folder in the lake, relative to its root, from which processes without Spark answer; None where the
    model has no such form. `percent` of the keys are answered by a canary. `run_id` is the run that switched,
    `training_run` MLflow's run of the version. `tables` are the versions of Delta tables that it was made of, `rules`
    the rule sets of pipelines, `metrics` those of its held-out rows.
    """

    model: str
    role: Role
    action: Action
    version: int | None
    who: str
    why: str
    run_id: str
    previous: int | None = None
    training_run: str | None = None
    release: str | None = None
    percent: float | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: Sequence[Gate] = ()
    at: dt.datetime = field(default_factory=now)
    effective_at: dt.datetime = field(default_factory=now)
    number: int = 0


def append_switch(root: str, made: Callable[[Sequence[Switch]], Switch], lead: dt.timedelta = LEAD) -> Switch:
    """Append what `made` gives for the ledger so far, and return it as written.

    `made` is asked again when somebody else was first. What takes effect does so `lead` from now, and never before what
    stands in the ledger already. Raises ConcurrentRunError after twenty tries.
    """
    uri = created(root, CHAMPIONS, SCHEMA)
    for _ in range(TRIES):
        table = DeltaTable(uri)
        before = switches(root)
        wanted = asdict(made(before))
        last = before[-1] if before else None
        wanted["number"] = last.number + 1 if last else 1
        wanted["at"] = now()
        effective = wanted["at"] + (lead if wanted["action"] != "refused" else dt.timedelta())
        wanted["effective_at"] = max(effective, last.effective_at) if last else effective
        if append_against(table, [tuple(_stored(wanted[name]) for name in SCHEMA.names)], SCHEMA):
            return _switch({name: _stored(wanted[name]) for name in SCHEMA.names})
    raise ConcurrentRunError(f"{CHAMPIONS} was written by others {TRIES} times in a row; run this again")


def switches(root: str, model: str | None = None) -> list[Switch]:
    """The ledger in its order, of one model or of all."""
    rows = read_rows(root, CHAMPIONS, [("model", "=", model)] if model is not None else ())
    return sorted((_switch(row) for row in rows), key=lambda switch: switch.number)


def holder(ledger: Iterable[Switch], model: str, role: Role, at: dt.datetime | None = None) -> Switch | None:
    """Who holds a role at a time, or once all that the ledger says has come; None where nobody does."""
    found = None
    for switch in ledger:
        is_of = switch.model == model and switch.role == role and switch.action != "refused"
        if is_of and (at is None or switch.effective_at <= at):
            found = switch
    return found if found is not None and found.version is not None else None


def put_release(root: str, name: str, folder: Path) -> str:
    """Copy the files of a local folder into the lake, and return where they are, relative to its root.

    `name` says which content it is, so that what is there already is not written again.
    """
    target = f"{RELEASES}/{name}"
    system, path = filesystem(f"{root}/{target}")
    try:
        for file in sorted(folder.iterdir()):
            if system.get_file_info(f"{path}/{file.name}").type == fs.FileType.NotFound:
                write_whole(f"{root}/{target}/{file.name}", file.read_bytes())
    except OSError as error:
        raise StorageError(f"the release {target} cannot be written to {root}: {error}") from error
    return target


def fetch_release(root: str, release: str, into: Path) -> Path:
    """Copy a release from the lake to a local folder, and return that. Raises StorageError where it is not whole."""
    system, path = filesystem(f"{root}/{release}")
    try:
        for found in system.get_file_info(fs.FileSelector(path)):
            with system.open_input_stream(found.path) as stream:
                (into / found.base_name).write_bytes(stream.read())
    except OSError as error:
        raise StorageError(f"the release {release} cannot be read from {root}: {error}") from error
    return into


def _stored(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value


def _switch(row: Mapping[str, Any]) -> Switch:
    read = {name: json.loads(row[name]) for name in ("tables", "rules", "metrics")}
    gates = tuple(Gate(**gate) for gate in json.loads(row["gates"]))
    return Switch(**{**row, **read, "gates": gates})
