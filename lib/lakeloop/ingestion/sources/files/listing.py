"""Which files lie in a folder, in the order in which they are wanted."""

import fnmatch
import os
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pyarrow import fs

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.packing import PACKINGS
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)


class Listed(NamedTuple):
    """A file as the file system lists it: another size or time is another file. `modified` is in nanoseconds."""

    path: str
    size: int
    modified: int


def list_files(folder: str, spec: FilesSource) -> list[Listed]:
    """The files below a folder that the source takes, by name or by time.

    Raises SourceError when it is not there or cannot be listed. In an object store a folder is what lies in it: where
    there is nothing, nothing is new. Left out are names that begin with a dot or an underscore, at any depth,
    extensions of no declared format, names that are not UTF-8 and keys with an empty part (with a warning), and links
    to files that are listed under their own name.
    """
    system, path = filesystem(folder)
    found, nameless = [], 0
    for info in _below(system, path, folder):
        try:
            inside = info.path.removeprefix(path).removeprefix("/")
        except UnicodeDecodeError:
            nameless += 1
            continue
        parts = inside.split("/")
        if "" in parts and info.is_file:
            log.warning("file left alone: no folder has the empty name in its key", folder=folder, key=inside)
            continue
        hidden = any(part[:1] in "._" for part in parts)
        if info.is_file and not hidden and fnmatch.fnmatchcase(inside, spec.pattern) and _extension(inside, spec):
            found.append(Listed(f"{folder.rstrip('/')}/{inside}", info.size, info.mtime_ns))
    if nameless:
        log.warning("files left alone: their names are not UTF-8; rename them", folder=folder, files=nameless)
    once = found if "://" in folder else _once_each(found, folder)
    return sorted(once, key=lambda file: (file.modified, file.path) if spec.order == "time" else (file.path,))


def _below(system: fs.FileSystem, path: str, folder: str) -> list[fs.FileInfo]:
    try:
        if system.get_file_info(path).type is fs.FileType.Directory:
            listed: list[fs.FileInfo] = system.get_file_info(fs.FileSelector(path, recursive=True))
            return listed
        bucket = system.get_file_info(path.split("/", 1)[0]).type if "://" in folder else fs.FileType.NotFound
    except OSError as error:
        raise SourceError(
            f"the folder {folder} cannot be listed: {said_by_store(error)}; mend the connection's path, "
            "the credentials or what they permit"
        ) from error
    if bucket is fs.FileType.Directory:
        log.warning("nothing lies in this folder", folder=folder)
        return []
    raise SourceError(f"the folder {folder} does not exist; create it or mend the connection's path")


def said_by_store(error: OSError) -> str:
    """What a file system says, on one line."""
    return os.strerror(error.errno) if error.errno else str(error).strip().splitlines()[0]


def leads_out(path: str, folder: str) -> bool:
    """Whether a local path below `folder` is a link, or lies behind one, to somewhere else."""
    return "://" not in path and not Path(path).resolve().is_relative_to(Path(folder).resolve())


def _once_each(files: list[Listed], folder: str) -> list[Listed]:
    """Files without links to one another: a folder that holds a link to itself has no end of names."""
    resolved = cache(os.path.realpath)
    given, top = folder.rstrip("/"), resolved(folder)

    def real(path: str) -> str:
        parent, name = path.rsplit("/", 1)
        there = f"{resolved(parent)}/{name}"
        return os.path.realpath(there) if Path(there).is_symlink() else there

    real_paths = {file.path: real(file.path) for file in files}
    own = {path: there == top + path.removeprefix(given) for path, there in real_paths.items()}
    names: dict[str, Listed] = {}
    for file in sorted(files, key=lambda file: (not own[file.path], len(file.path), file.path)):
        names.setdefault(real_paths[file.path], file)
    return list(names.values())


def stat_files(files: list[Listed]) -> Iterator[Listed | None]:
    """The same files as they are now; None for one that is gone, and as it was one that may not be looked at."""
    for file in files:
        system, path = filesystem(file.path)
        try:
            info = system.get_file_info(path)
        except OSError:
            yield file
            continue
        yield Listed(file.path, info.size, info.mtime_ns) if info.is_file else None


def wait_until_settled(files: list[Listed], settle_seconds: float) -> list[Listed]:
    """The files that are not being written: old enough, after waiting for the youngest, and still the same then."""
    youngest = max((file.modified for file in files), default=0) / 1e9
    pause = youngest + settle_seconds - time.time()
    if pause > 0:
        time.sleep(min(pause, settle_seconds))
        recent = [file for file in files if file.modified / 1e9 > time.time() - 2 * settle_seconds - 1]
        changed = {was for was, now in zip(recent, stat_files(recent), strict=True) if was != now}
        return [file for file in files if file not in changed]
    return files


def split_extension(path: str) -> tuple[str, str]:
    """The extension that names the format and the one that names the packing: `a.csv.gz` gives csv and gz."""
    found = re.search(r"(?:\.([^./]+))?\.([^./]+)$", path.lower())
    inner, last = (found[1] or "", found[2]) if found else ("", "")
    if last == "zip":
        return last, last
    return (inner, last) if last in PACKINGS else (last, "")


def _extension(path: str, spec: FilesSource) -> bool:
    extension, packing = split_extension(path)
    return packing == "zip" or extension in spec.formats.by_extension
