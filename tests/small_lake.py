"""A small lake in the shapes that pipelines write, made without a JVM, and the configuration that declares it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakeloop.core.config import Project

OLD, NEW = dt.datetime(2020, 5, 1, tzinfo=dt.UTC), dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
TIME = pa.timestamp("us", tz="UTC")
OWN = [
    ("_batch_id", pa.int64()), ("_run_id", pa.string()), ("_ingested_at", TIME), ("_verdict", pa.string()),
    ("_reasons", pa.list_(pa.struct([("rule", pa.string()), ("message", pa.string())]))),
    ("_original", pa.string()), ("_rescued", pa.string()),
]  # fmt: skip
PERSON = [("person_id", pa.string()), ("email", pa.string()), ("city", pa.string()), ("age", pa.int32()), ("at", TIME)]
VISIT = [("person_id", pa.string()), ("page", pa.string()), ("seconds", pa.float64())]

# Ann stands twice under one address, and one address, city and age are not known.
PEOPLE = [
    ("a", "ann@example.com", "Bern", 30, OLD),
    ("b", None, "Basel", None, NEW),
    ("c", "ann@example.com", None, 41, NEW),
    ("d", "dora@example.com", "Bern", 30, NEW),
]

PIPELINES = {
    "people": """
pipeline: people
description: People, one row per person
owner: crm-team
source: {files: drop, formats: {csv: {}}, fields: [person_id, email, city, age, at]}
sink: {table: silver.people, mode: merge, keys: [person_id], sequence_by: at}
columns: {email: {tags: [pii], mask: hash, description: Contact address}, city: {tags: [pii]}}
""",
    "visits": """
pipeline: visits
description: Visits of pages, one row per visit
source: {files: drop, formats: {csv: {}}, fields: [person_id, page, seconds]}
sink: {table: silver.visits}
""",
}
ACCESS = """
masking_key: ${secret:masking_key}
people_with_pii: [somebody]
keys:
  analyst: {key: "${secret:analyst}", tables: [silver.*], query: true, requests_per_minute: 1000}
  dashboard: {key: "${secret:dashboard}", tables: [silver.visits]}
  steward: {key: "${secret:steward}", tables: [silver.*, bronze.*], pii: true, query: true}
  hasty: {key: "${secret:hasty}", tables: [silver.visits], requests_per_minute: 3}
"""
SECRETS = {name: f"{name}-0123456789abcdef" for name in ("analyst", "dashboard", "steward", "hasty", "masking_key")}


def write_lake(folder: Path) -> Project:
    """The lake and its configuration, both under `folder`."""
    for part in ("conf/base/pipelines", "conf/local", "secrets"):
        (folder / part).mkdir(parents=True)
    base = folder / "conf/base"
    (base / "platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
    (base / "connections.yml").write_text(f"drop: {{files: {{path: {folder}/drop}}}}\n")
    (base / "access.yml").write_text(ACCESS)
    for name, text in PIPELINES.items():
        (base / f"pipelines/{name}.yml").write_text(text)
    for name, value in SECRETS.items():
        (folder / "secrets" / name).write_text(value + "\n")
    root = str(folder / "lake")
    append(root, "silver.people", PERSON, PEOPLE)
    reasons = [{"rule": "age_in_range", "message": "age is -1 of ann@example.com"}]
    bad = (0, "r1", OLD, "quarantined", reasons, "a,ann@example.com,,-1", None, "a", "ann@example.com", None, -1, OLD)
    records = [(0, "r1", OLD if row[-1] == OLD else NEW, "good", None, None, None, *row) for row in PEOPLE]
    append(root, "bronze.people", OWN + PERSON, [*records, bad], partition_by=["_verdict"])
    add_visits(root, 0, [("a", "/", 1.5), ("a", "/", 1.5), (None, "/about", None)])
    add_visits(root, 1, [("b", "/", 2.0)])
    add_visits(root, 2, [("b", "/not-accepted-yet", 9.0)])
    accept_visits(root, 1)
    return Project(folder / "conf", "local")


def append(root: str, table: str, schema: list[tuple[str, Any]], rows: list[tuple[Any, ...]], **options: Any) -> None:
    """Append rows, in the order of the schema's columns."""
    columns = [pa.array(column, kind) for column, (_, kind) in zip(zip(*rows, strict=True), schema, strict=True)]
    named = pa.table(columns, schema=pa.schema(schema))
    write_deltalake(f"{root}/{table.replace('.', '/')}", named, mode="append", **options)


def add_visits(
    root: str, batch_id: int, rows: list[tuple[str | None, str, float | None]], at: dt.datetime = NEW
) -> None:
    """One batch of bronze.visits: these rows are good, and one more is quarantined."""
    own = (batch_id, "r1", at, "good", None, None, None)
    bad = (batch_id, "r1", at, "quarantined", [{"rule": "r", "message": "bad"}], "x", None, "x", "/bad", -1.0)
    append(root, "bronze.visits", OWN + VISIT, [*((*own, *row) for row in rows), bad], partition_by=["_verdict"])


def accept_visits(root: str, batch_id: int) -> None:
    """Let silver.visits show the batches up to this one."""
    folder = Path(root) / "silver/visits"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_view.json").write_text(json.dumps({"record_table": "bronze.visits", "accepted": batch_id}))
