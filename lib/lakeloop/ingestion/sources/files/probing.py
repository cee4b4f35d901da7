"""A look at a folder: what lies in it, whether the newest file can be read, and whether it has the declared fields."""

import datetime as dt
from collections.abc import Iterator, Sequence

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import FilesSource
from lakeloop.ingestion.sources.files.inspection import inspect
from lakeloop.ingestion.sources.files.listing import list_files
from lakeloop.ingestion.sources.files.looking import Looker
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.probing import Check
from lakeloop.lake.file_catalog import KnownFiles


def probe_folder(folder: str, spec: FilesSource, known: KnownFiles) -> Iterator[Check]:
    """The checks of `Probed.probe`; an empty folder can be reached, and that is all there is to say of it."""
    files = list_files(folder, spec)
    formats = ", ".join(sorted(spec.formats.by_extension))
    yield Check("reachable", folder)
    if not files:
        yield Check("volume", f"no file of the declared formats ({formats})")
        return
    newest = max(files, key=lambda file: file.modified)
    inspected = inspect(newest, spec, folder)
    if inspected.refused:
        raise SourceError(f"{newest.path} would be refused: {inspected.refused}")
    yield Check("permitted", f"{newest.path} can be read")
    found = Looker(spec, values=True).look([inspected])
    yield _fields(list(found[0].names) if found else [], list(spec.fields or ()), newest.path)
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromtimestamp(newest.modified / 1e9, dt.UTC)
    yield Check("freshness", f"the newest file is {_said(age)} old")
    new = sum(known.is_new(*file) for file in files)
    size = sum(file.size for file in files)
    yield Check("volume", f"{len(files):,} files, {size / 2**20:,.1f} MiB, {new:,} of them new")


def _fields(there: Sequence[str], declared: Sequence[str], path: str) -> Check:
    if not there:
        return Check("schema", f"{path} tells no columns before it is read")
    if missing := [name for name in declared if name not in match_names(there, declared)]:
        remedy = "mend `fields`, or name the new name under `schema: renames`"
        return Check("schema", f"{path} has {', '.join(there)} and no {', '.join(missing)}; {remedy}", ok=False)
    return Check("schema", f"{len(there)} columns: {', '.join(there)}")


def _said(age: dt.timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{age.total_seconds() / 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
