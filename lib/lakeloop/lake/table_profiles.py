"""Profiles over time: the numbers of `ops.table_profiles`, written and read without Spark.

Grain: one profile (of a table as of a version, or of one batch), column, metric and category. A number that a profile
does not have is no row.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakeloop.lake.ops_tables import TIME, Filter, append_rows, created, read_columns

TABLE_PROFILES = "ops.table_profiles"
SHARE = "share"
SCHEMA = pa.schema([
    ("table", pa.string()),
    ("pipeline", pa.string()),
    ("batch_id", pa.int64()),
    ("version", pa.int64()),
    ("at", TIME),
    ("column", pa.string()),
    ("metric", pa.string()),
    ("category", pa.string()),
    ("value", pa.float64()),
])  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One number: of the whole table where `column` is None, of one value of the column where it has a `category`."""

    column: str | None
    metric: str
    value: float
    category: str | None = None


@dataclass(frozen=True)
class StoredProfile:
    """The numbers of one profile. `batch_id` is None where it is of the whole table as of `version`; `at` is UTC."""

    table: str
    at: dt.datetime
    metrics: tuple[Metric, ...]
    version: int | None = None
    pipeline: str | None = None
    batch_id: int | None = None

    def value(self, column: str | None, metric: str) -> float | None:
        """One number, or None where the profile does not have it."""
        found = (each.value for each in self.metrics if (each.column, each.metric) == (column, metric))
        return next(found, None)

    def shares(self, column: str) -> dict[str, float]:
        """The share of each value of a column; empty where these were not kept."""
        own = (each for each in self.metrics if each.column == column and each.metric == SHARE)
        return {each.category: each.value for each in own if each.category is not None}


def append_profile(root: str, profile: StoredProfile) -> None:
    """Add a profile in one commit; one without metrics leaves nothing."""
    key = (profile.table, profile.pipeline, profile.batch_id, profile.version, profile.at)
    rows = [(*key, each.column, each.metric, each.category, each.value) for each in profile.metrics]
    append_numbers(root, rows)


def append_numbers(root: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Append rows of the table in one commit, if there are any."""
    if rows:
        created(root, TABLE_PROFILES, SCHEMA, ["pipeline"])  # each is read by itself, however many there are
        append_rows(root, TABLE_PROFILES, rows, SCHEMA)


def newest_profile(root: str, table: str, *, version: int | None = None) -> StoredProfile | None:
    """The newest profile of the whole table, of exactly `version` where one is named; None where there is none."""
    filters: list[Filter] = [("table", "=", table)]
    if version is not None:
        filters.append(("version", "=", version))
    own = [profile for profile in _profiles(root, filters) if profile.batch_id is None]
    return own[-1] if own else None


def profiles(root: str, table: str) -> list[StoredProfile]:
    """Every profile of a table and of its batches, the oldest first."""
    return _profiles(root, [("table", "=", table)])


def _profiles(root: str, filters: Sequence[Filter]) -> list[StoredProfile]:
    found = read_columns(root, TABLE_PROFILES, filters)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found.to_pylist() if found is not None else []:
        groups.setdefault((row["at"], row["version"], row["batch_id"]), []).append(row)
    return sorted(map(_profile, groups.values()), key=lambda profile: (profile.at, profile.version or 0))


def _profile(rows: list[dict[str, Any]]) -> StoredProfile:
    key = {name: rows[0][name] for name in ("table", "at", "version", "pipeline", "batch_id")}
    metrics = (Metric(row["column"], row["metric"], row["value"], row["category"]) for row in rows)
    return StoredProfile(metrics=tuple(metrics), **key)
