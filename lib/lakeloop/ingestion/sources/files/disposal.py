"""What becomes of a file once its batch has ended: it stays, moves or goes."""

import posixpath

from pyarrow import fs

from lakeloop.core import logs
from lakeloop.ingestion.files_spec import Move
from lakeloop.ingestion.sources.files.inspection import Inspected
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)


def dispose(file: Inspected, folder: str, processed: str | Move) -> None:
    """Move or delete a file that is still the one that was read; doing it again changes nothing."""
    if processed == "keep":
        return
    system, path = filesystem(file.path)
    info = system.get_file_info(path)
    if not info.is_file or (info.size, info.mtime_ns) != (file.size, file.modified):
        return
    if not isinstance(processed, Move):
        system.delete_file(path)
        return
    target = _target(file, folder, processed.move)
    _, inner = filesystem(target)
    if system.get_file_info(inner).type is not fs.FileType.NotFound:
        # The same name was there before: the content's hash keeps both.
        inner = f"{inner}.{file.sha256[:12]}"
    system.create_dir(posixpath.dirname(inner), recursive=True)
    system.move(path, inner)
    log.info("file moved", file=file.path, to=inner)


def _target(file: Inspected, folder: str, move: str) -> str:
    base = move if "://" in move or posixpath.isabs(move) else posixpath.join(folder, move)
    return posixpath.join(base, file.path.removeprefix(folder).lstrip("/"))
