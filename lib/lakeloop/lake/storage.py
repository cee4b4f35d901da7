"""Folders outside of tables, local or in an object store, by the same URIs that Spark takes."""

from pathlib import Path

from pyarrow import fs


def absolute(location: str) -> str:
    """A URI as it is, a path from the folder that the command runs in as an absolute one."""
    return location if "://" in location else str(Path(location).expanduser().absolute())


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (s3a:// and abfss:// as Spark writes them) and the path inside it."""
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    opened: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return opened
