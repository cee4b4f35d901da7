"""Folders outside of tables, local or in an object store, by the same URIs that Spark takes."""

from pyarrow import fs


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (s3a:// and abfss:// as Spark writes them) and the path inside it."""
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    opened: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return opened
