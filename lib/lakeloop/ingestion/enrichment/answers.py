"""The address of a key, and the declared values out of the JSON object that is answered there."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lakeloop.ingestion.enrichment.http_spec import PLACEHOLDER


def address(path: str, values: Mapping[str, str]) -> str | None:
    """The path with each value percent-encoded; None where a value would change which resource the path means.

    No value can begin a query or a further segment. One that makes a segment empty, `.` or `..` cannot be asked for:
    whoever gets such an address reads it as another.
    """
    for segment in path.partition("?")[0].split("/"):
        if PLACEHOLDER.search(segment) and PLACEHOLDER.sub(lambda m: values[m[1]], segment) in ("", ".", ".."):
            return None
    return PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe="", errors="replace"), path)


def read_fields(body: bytes, paths: Sequence[str]) -> dict[str, str | None]:
    """The values at dotted paths of a JSON object, as text; None where there is none or null.

    A number keeps its digits as they were sent, a truth value is `true` or `false`, a list or an object is JSON text.
    A number in a path is a position in a list. Raises ValueError for anything but a JSON object.
    """
    try:
        answer = json.loads(body, parse_float=str, parse_int=str)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(answer, dict):
        raise ValueError("no object")
    return {path: _text(_at(answer, path), body, path) for path in paths}


def _at(answer: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(answer, list) and part.isdecimal() and int(part) < len(answer):
            answer = answer[int(part)]
        elif isinstance(answer, dict):
            answer = answer.get(part)
        else:
            return None
    return answer


def _text(value: Any, body: bytes, path: str) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(_at(json.loads(body), path), ensure_ascii=False)
    return value if value is None else str(value)
