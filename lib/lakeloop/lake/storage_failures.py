"""What storage says when it fails, in one sentence: a full disk, or a store that is out of reach or refuses."""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import DeltaError

from lakeloop.core.errors import DiskFullError, LakeloopError, StorageError

FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
COLOUR = re.compile(r"\x1b\[\d*m")


@contextmanager
def storage_explained(place: str) -> Iterator[None]:
    """Let delta-rs and file systems fail in words, where they work on a folder or URI.

    Raises DiskFullError where its disk is full, StorageError for what else an object store says.
    """
    place = place.removeprefix("file://")
    try:
        yield
    except (DeltaError, OSError) as error:
        if isinstance(error, LakeloopError):
            raise
        if is_full(str(error)):
            raise DiskFullError(f"{full_disk([place])}; free some space there and run again") from error
        if "://" in place and not isinstance(error, DeltaError):
            raise StorageError(
                f"{place} cannot be reached: {_one_line(error)}; check the address, the credentials in the environment "
                "and what they permit"
            ) from error
        raise


def is_full(text: str) -> bool:
    """Whether a failure speaks of a full disk."""
    return FULL.search(text) is not None


def full_disk(places: Iterable[str]) -> str:
    """Which of the local folders is on the fullest disk, and how much that has left."""
    there = [_existing(place) for place in places if "://" not in place]
    if not there:
        return "a disk is full, of this machine or of an executor"
    free, folder = min((shutil.disk_usage(folder).free, folder) for folder in there)
    return f"the disk of {folder} is full ({free:,} bytes free)"


def _existing(place: str) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = Path(place)
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))


def _one_line(error: Exception) -> str:
    """The innermost cause: object stores say it last."""
    lines = [line.strip(" ↳") for line in COLOUR.sub("", str(error)).splitlines()]
    return next((line for line in reversed(lines) if line), type(error).__name__)
