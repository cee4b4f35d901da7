"""What becomes of a file once its batch has ended: it stays, moves or goes."""

import posixpath

from pyarrow import fs

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs.files import Move
from lakeloop.ingestion.sources.files.inspection import Inspected
from lakeloop.ingestion.sources.files.listing import said_by_store
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)


def dispose(file: Inspected, folder: str, processed: str | Move) -> None:
    """Move or delete a file that is still the one that was read; doing it again changes nothing.

    Raises SourceError where that is not permitted.
    """
    if processed == "keep":
        return
    system, path = filesystem(file.path)
    try:
        info = system.get_file_info(path)
        if not info.is_file or (info.size, info.mtime_ns) != (file.size, file.modified):
            return
        if isinstance(processed, Move):
            _move(system, path, file, _target(file, folder, processed.move))
        else:
            system.delete_file(path)
    except OSError as error:
        raise SourceError(
            f"{file.path} was read and cannot be put away: {said_by_store(error)}; permit it, "
            "or declare processed: keep"
        ) from error


def _move(system: fs.FileSystem, path: str, file: Inspected, target: str) -> None:
    store, inner = filesystem(target)
    if store.get_file_info(inner).type is not fs.FileType.NotFound:
        # The same name was there before: the content's hash keeps both.
        inner = f"{inner}.{file.sha256[:12]}"
    store.create_dir(posixpath.dirname(inner), recursive=True)
    if store.equals(system):
        system.move(path, inner)
    else:
        fs.copy_files(path, inner, system, store)
        system.delete_file(path)
    log.info("file moved", file=file.path, to=inner)


def _target(file: Inspected, folder: str, move: str) -> str:
    base = move if "://" in move or posixpath.isabs(move) else posixpath.join(folder, move)
    return posixpath.join(base, file.path.removeprefix(folder).lstrip("/"))
