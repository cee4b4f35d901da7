"""What storage says when it fails, in one sentence: a full disk, or a store that is out of reach or refuses."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

from lakeloop.core.disk import full_disk, is_full
from lakeloop.core.errors import DiskFullError, LakeloopError, StorageError

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


def _one_line(error: Exception) -> str:
    """The innermost cause: object stores say it last."""
    lines = [line.strip(" ↳") for line in COLOUR.sub("", str(error)).splitlines()]
    return next((line for line in reversed(lines) if line), type(error).__name__)
