"""Four processes that append to one table, merge into it, compact and vacuum it at once, by Lakeloop's functions.

A process is `python -m drills.drill_writers LAKE NUMBER OPERATIONS SEED`; what was acknowledged to it stands in a file.
"""

import datetime as dt
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from drills.runs import ROOT, RUN_SECONDS, Account, Drill, Tell, checksum, rows_in
from lakeloop.core.errors import ConcurrentRunError
from lakeloop.core.session import build_session, load_properties
from lakeloop.ingestion.retention import due, remove
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.compaction import compact
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Commit, Lake

TABLE = "silver.shared"
WRITERS = 4
OPERATIONS = {"append": 7, "merge": 7, "compact": 3, "vacuum": 3}  # how often each is drawn
KEYS = 100
SCHEMA = pa.schema({"id": pa.string(), "value": pa.int64(), "sequence": pa.int64()})
# So short that a vacuum takes the files of every version but the last ten.
SETTINGS = {"delta.deletedFileRetentionDuration": "interval 1 seconds", "delta.checkpointInterval": "20"}
SPEC = {
    "pipeline": "shared", "description": "Shared", "source": {"files": "drop", "formats": {"csv": {}}},
    "sink": {"table": TABLE, "mode": "merge", "keys": ["id"]}, "keep": {"versions": 10},
}  # fmt: skip
Row = tuple[str, int, int]


def write_at_once(operations: int, seed: int, tell: Tell | None = None) -> Account:
    """So many operations by four processes; raises SystemExit unless the log is serial and all that was said holds."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as name:
        folder = Path(name)
        (folder / "lake/silver/shared").mkdir(parents=True)
        DeltaTable.create(f"{folder}/lake/silver/shared", SCHEMA, configuration=SETTINGS)
        with Drill(folder, seed, "drop: {files: {path: /nowhere}}\n", {}, tell=tell) as drill:
            each = max(operations // WRITERS, 1)
            processes = [
                drill.launch("-m", "drills.drill_writers", drill.lake, str(number), str(each), str(seed))
                for number in range(WRITERS)
            ]
            if codes := [code for process in processes if (code := process.wait(RUN_SECONDS))]:
                raise SystemExit(f"a writer ended with {codes}\n{drill.log[-4000:]}")
            said = [entry for number in range(WRITERS) for entry in acknowledged(drill.lake, number)]
            account = account_of(drill.lake, said)
            drill.tell(str(account))
            if not account.is_sound:
                raise SystemExit(str(account))
            return account


def account_of(lake: str, said: list[dict[str, Any]]) -> Account:
    """The rows of the table beside those that were acknowledged; raises SystemExit for a log that is not serial."""
    path = f"{lake}/{TABLE.replace('.', '/')}"
    commits = serial_history(Path(path))
    done = [entry for entry in said if not entry["refused"]]
    wanted: dict[str, Row] = {}
    for entry in done:
        number, name = entry["number"], entry["operation"]
        if name in ("append", "merge"):
            identity = (f"{TABLE}-{number}", entry["place"])
            if commits[identity] != 1:
                raise SystemExit(f"{name} {identity} was acknowledged and stands in the log {commits[identity]} times")
        for row in rows_of(name, number, entry["place"], entry["seed"]):
            if row[0] not in wanted or row[2] > wanted[row[0]][2]:
                wanted[row[0]] = row
    refused = [(f"{TABLE}-{entry['number']}", entry["place"]) for entry in said if entry["refused"]]
    if there := [identity for identity in refused if commits[identity]]:
        raise SystemExit(f"{there} were refused and stand in the log all the same")
    found = rows_in(path, SCHEMA.names)
    ids = Counter(row[0] for row in found)
    twice = ids.total() - len(ids.keys() & wanted.keys())
    counted = Counter(entry["operation"] for entry in done)
    words = f", {', '.join(f'{times} × {name}' for name, times in sorted(counted.items()))}, {len(refused)} refused"
    return Account(
        len(found), len(wanted.keys() - ids.keys()), twice, checksum(found) == checksum(wanted.values()), words
    )


def serial_history(table: Path) -> Counter[tuple[str, int]]:
    """The identities in the log; raises SystemExit unless each version follows from the one before it."""
    files = sorted((table / "_delta_log").glob("*.json"))
    if [int(file.stem) for file in files] != list(range(len(files))):
        raise SystemExit(f"the versions of {table} have a gap")
    active: set[str] = set()
    found: Counter[tuple[str, int]] = Counter()
    for file in files:
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        removed = {action["remove"]["path"] for action in actions if "remove" in action}
        added = {action["add"]["path"] for action in actions if "add" in action}
        if not removed <= active or added & active:
            raise SystemExit(f"{file.name} removes what was not there, or adds what was")
        active = (active - removed) | added
        found.update((action["txn"]["appId"], action["txn"]["version"]) for action in actions if "txn" in action)
    if gone := [path for path in active if not (table / path).exists()]:
        raise SystemExit(f"{len(gone)} files of the last version are gone")
    return found


def rows_of(operation: str, number: int, place: int, seed: int) -> Iterator[Row]:
    """What an operation writes, known from its place."""
    draw, sequence = random.Random(f"{seed} {number} {place}"), place * WRITERS + number
    if operation == "append":
        yield from ((f"a{number}-{place}-{row}", draw.randrange(10**9), sequence) for row in range(50))
    elif operation == "merge":
        for key in draw.sample(range(KEYS), 30):
            yield f"k{key}", draw.randrange(10**9), sequence


def acknowledged(lake: str, number: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(lake).with_name(f"said-{number}").read_text().splitlines()]


def write(lake_root: str, number: int, operations: int, seed: int) -> None:
    """The operations of one process, each noted on the disk once it was acknowledged or refused."""
    properties = load_properties([ROOT / part / "spark.properties" for part in ("conf/base", "conf/local")])
    own = {"spark.master": "local[1]", "spark.driver.memory": "512m"}
    lake = Lake(build_session(properties | own), lake_root)
    draw = random.Random(f"{seed} {number}")
    with Path(lake_root).with_name(f"said-{number}").open("a") as said:
        for place in range(operations):
            (operation,) = draw.choices(list(OPERATIONS), list(OPERATIONS.values()))
            try:
                carry_out(lake, operation, number, place, seed)
                refused = False
            except ConcurrentRunError:
                refused = True
            entry = {"number": number, "place": place, "operation": operation, "seed": seed, "refused": refused}
            said.write(json.dumps(entry) + "\n")
            said.flush()
            os.fsync(said.fileno())
    lake.spark.stop()


def carry_out(lake: Lake, operation: str, number: int, place: int, seed: int) -> None:
    """One operation by the function of the library that does it."""
    commit = Commit(f"{TABLE}-{number}", place, f"drill-{number}")
    if operation == "compact":
        compact(lake.path(TABLE))
    elif operation == "vacuum":
        spec = PipelineSpec.model_validate(SPEC)
        for what in due(lake.root, spec, dt.datetime.now(dt.UTC)):
            remove(lake.root, spec, what)
    else:
        rows = lake.spark.createDataFrame(
            list(rows_of(operation, number, place, seed)), "id string, value long, sequence long"
        )
        if operation == "append":
            lake.write(TABLE, rows, mode="append", commit=commit)
        else:
            merge_latest(lake, TABLE, rows, keys=["id"], sequence_by="sequence", commit=commit)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
