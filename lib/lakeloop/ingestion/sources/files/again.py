"""Files that were read before, read again: which of a folder are meant, and which of them are gone."""

import datetime as dt
from collections.abc import Iterable

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.backfill import Asked, moment_of
from lakeloop.ingestion.sources.files.listing import Listed
from lakeloop.lake.file_catalog import KnownFiles


def part_of(asked: Asked, listed: Iterable[Listed], known: KnownFiles, folder: str) -> list[Listed]:
    """The files of a folder that were taken and that are asked for, by name or by the time of their last change.

    Their order is that of their paths. Raises SourceError where a file that is asked for is gone, and where one bound
    is a time and the other a name.
    """
    is_time = moment_of(asked.first) is not None
    if asked.until is not None and (moment_of(asked.until) is not None) != is_time:
        raise SourceError(
            f"{folder}: --from {asked.first} and --to {asked.until} are a time and a name; expected two times, as "
            "2026-03-01, or two names of files below the folder"
        )
    there = list(listed)
    paths = {file.path for file in there}
    gone = sorted({file[0] for file in known.taken if file[0] not in paths and _is_asked(Listed(*file), asked, folder)})
    if gone:
        more = f" and {len(gone) - 1:,} more" if len(gone) > 1 else ""
        raise SourceError(
            f"{gone[0]}{more} of what is asked for no longer lies there, so it cannot be read again. Nothing was read; "
            "put it back as it was, or leave it out by --from and --to"
        )
    mine = (file for file in there if not known.is_new(*file) and _is_asked(file, asked, folder))
    return sorted(mine, key=lambda file: file.path)


def _is_asked(file: Listed, asked: Asked, folder: str) -> bool:
    first, until = moment_of(asked.first), None if asked.until is None else moment_of(asked.until)
    if first is not None:
        return file.modified >= _nanoseconds(first) and (until is None or file.modified < _nanoseconds(until))
    name = file.path.removeprefix(folder.rstrip("/")).lstrip("/")
    return name >= asked.first and (asked.until is None or name < asked.until)


def _nanoseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1_000
