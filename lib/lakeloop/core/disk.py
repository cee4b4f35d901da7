"""Full disks: how failures speak of them, and which disk it is."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)


def is_full(text: str) -> bool:
    """Whether a failure speaks of a full disk."""
    return FULL.search(text) is not None


def full_disk(places: Iterable[str]) -> str:
    """Which of the local folders is on the disk with the least space, and how much that is."""
    there = [_existing(place) for place in places if "://" not in place]
    if not there:
        return "a disk is full, of this machine or of an executor"
    free, folder = min((shutil.disk_usage(folder).free, folder) for folder in there)
    return f"the disk of {folder} is full ({free:,} bytes free)"


def spill_folders(setting: str | None) -> list[str]:
    """Where Spark on this machine keeps what does not fit memory, given its setting `spark.local.dir`."""
    return (os.environ.get("SPARK_LOCAL_DIRS") or setting or tempfile.gettempdir()).split(",")


def _existing(place: str) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = Path(place)
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))
