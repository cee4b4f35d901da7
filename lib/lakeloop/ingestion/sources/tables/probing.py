"""A look at tables: where they stand, the columns of all together, when they were written last, how many rows."""

import datetime as dt
from collections.abc import Iterator, Mapping

import deltalake

from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.tables.steps import Step
from lakeloop.ingestion.sources.tables.uniting import UnitedColumn
from lakeloop.lake.increments import added
from lakeloop.lake.tables import Lake


def probe_tables(
    lake: Lake,
    steps: Mapping[str, Step],
    columns: Mapping[str, UnitedColumn],
    folders: Mapping[str, str],
    paths: Mapping[str, str | None],
) -> Iterator[Check]:
    """The checks of `Probed.probe`; `folders` are those with the rows, `paths` those of tables outside of the lake."""
    yield Check("reachable", "; ".join(step.said(name) for name, step in steps.items()))
    yield Check("permitted", f"{', '.join(steps)} can be read")
    yield Check("schema", f"{len(columns)} columns: {', '.join(columns)}")
    yield Check("freshness", "; ".join(f"{name} was written {_written(folder)}" for name, folder in folders.items()))
    rows = sum(added(lake, name, None, step.until, paths[name]).count() for name, step in steps.items())
    yield Check("volume", f"{rows:,} rows")


def _written(folder: str) -> str:
    newest = deltalake.DeltaTable(folder).history(1)[0]
    return f"{dt.datetime.fromtimestamp(newest['timestamp'] / 1000, dt.UTC):%F %H:%M}"
