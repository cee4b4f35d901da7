"""Rule sets as they were declared, one JSON file for each version of one, so that an old one can be put back."""

import json
from collections.abc import Sequence
from typing import Any

from pyarrow import fs

from lakeloop.core.errors import StorageError, TableError
from lakeloop.lake.storage import filesystem, write_whole

FOLDER = "_releases/rules"


def put_rule_set(root: str, version: str, rules: Sequence[Any]) -> None:
    """Keep the value of `rules:` of a pipeline under the version of the rule set, unless it is kept already."""
    uri = f"{root}/{FOLDER}/{version}.json"
    system, path = filesystem(uri)
    try:
        if system.get_file_info(path).type == fs.FileType.NotFound:
            write_whole(uri, json.dumps(list(rules), ensure_ascii=False, default=str).encode())
    except OSError as error:
        raise StorageError(f"the rule set {version} cannot be written to {root}: {error}") from error


def rule_set(root: str, version: str) -> list[Any]:
    """The value of `rules:` that was kept. Raises TableError where it was not."""
    system, path = filesystem(f"{root}/{FOLDER}/{version}.json")
    try:
        with system.open_input_stream(path) as stream:
            kept: list[Any] = json.loads(stream.read())
    except FileNotFoundError as error:
        raise TableError(f"the rule set {version} was not kept in {root}/{FOLDER}") from error
    return kept
