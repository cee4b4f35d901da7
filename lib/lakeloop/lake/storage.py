"""Folders outside of tables, local or in an object store, by the same URIs that Spark takes.

S3 is reached by the variables of the AWS tools, which delta-rs and Spark's connector read too: credentials, AWS_REGION
and, for a store that is not Amazon's, AWS_ENDPOINT_URL.
"""

import os
import re
import uuid
from functools import cache
from pathlib import Path
from urllib.parse import quote

from pyarrow import fs

ENDPOINT = "AWS_ENDPOINT_URL"
GLOB_CHARACTERS = re.compile(r"([\[\]{}*?\\])")


def absolute(location: str) -> str:
    """A URI as it is, a path from the folder that the command runs in as an absolute one; no slash at the end."""
    return location.rstrip("/") if "://" in location else str(Path(location).expanduser().absolute())


def literal_path(path: str) -> str:
    """A path that Spark does not take for a pattern."""
    return GLOB_CHARACTERS.sub(r"\\\1", path)


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (s3a:// and abfss:// as Spark writes them) and the path inside it."""
    scheme, separator, path = uri.partition("://")
    if not separator:
        return fs.LocalFileSystem(), uri
    if scheme in ("s3", "s3a"):  # a key may hold what a URI would have to escape
        return _s3(os.environ.get(ENDPOINT)), path.rstrip("/")
    escaped = uri if scheme == "file" else quote(uri, safe=":/@")
    opened: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(escaped)
    return opened


def write_whole(uri: str, content: bytes) -> None:
    """Write a file, and the folders above it; readers see it whole or not at all. Raises OSError."""
    system, path = filesystem(uri)
    system.create_dir(path.rpartition("/")[0], recursive=True)
    unfinished = f"{path}.{uuid.uuid4().hex}.tmp"
    with system.open_output_stream(unfinished) as stream:
        stream.write(content)
    system.move(unfinished, path)


@cache
def _s3(endpoint: str | None) -> fs.S3FileSystem:
    return fs.S3FileSystem(endpoint_override=endpoint or None)
