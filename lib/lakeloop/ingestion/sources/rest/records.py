"""What an answer holds: its JSON, the list of records in it, and values at dotted paths."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.http.answers import Reply
from lakeloop.ingestion.sources.files.json_documents import DECODER, Repeated

WHOLE = "$"  # the answer itself is the list
SHOWN = 80


class Absent:
    """There is nothing at a path, which is another thing than null."""


ABSENT = Absent()


def value_at(value: Any, path: str) -> Any:
    """What stands at a dotted path; ABSENT where nothing does. A number is a position in a list."""
    for part in path.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return ABSENT
    return value


def answer_of(reply: Reply, where: str, expected: str, masked: Callable[[str], str]) -> Any:
    """The JSON of an answer, numbers with all their digits. Raises SourceError for what is none, with its beginning."""
    try:
        text = reply.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{where}: byte {error.start:,} of the answer is not valid UTF-8, which JSON is; mend the API's encoding"
        ) from error
    try:
        return DECODER.decode(text)
    except RecursionError as error:
        raise SourceError(f"{where}: the answer is nested too deeply to be read; ask for flatter records") from error
    except json.JSONDecodeError as error:
        what = f"JSON that breaks at character {error.pos:,}" if reply.kind.endswith("json") else reply.kind
        said = f"expected {expected}, found {what}: {masked(text)[:SHOWN]!r}"
        raise SourceError(f"{where}: {said}; check path") from error


def records_in(answer: Any, path: str, where: str) -> list[Any]:
    """The list of records; at least one is an object, the others will be malformed. Raises SourceError otherwise."""
    found = answer if path == WHOLE else value_at(answer, path)
    if isinstance(found, Absent):
        keys = f"the keys {', '.join(answer)[:200]}" if isinstance(answer, dict) else f"a {kind_of(answer)}"
        raise SourceError(f"{where}: expected {expected_of(path)}, found {keys}; declare where it is under records")
    if not isinstance(found, list) or (found and not any(isinstance(record, dict) for record in found)):
        what = f"a list of {kind_of(found[0])}s" if isinstance(found, list) else f"a {kind_of(found)}"
        said = "the answer" if path == WHOLE else f"'{path}'"
        raise SourceError(f"{where}: {said} is not a list of objects but {what}; declare where it is under records")
    return found


def expected_of(path: str) -> str:
    """What an answer should be."""
    return "a JSON list of objects" if path == WHOLE else f"a JSON object with the list '{path}'"


def exploded(records: list[Any], path: str | None) -> Iterator[Any]:
    """One record per element of the list at `path`, which the element replaces; as it is without any."""
    for record in records:
        elements = value_at(record, path) if path is not None else None
        if path is None or not isinstance(elements, list) or not elements:
            yield record
            continue
        for element in elements:
            yield _with(record, path.split("."), element)


def _with(record: Any, parts: list[str], element: Any) -> Any:
    if not parts:
        return element
    if isinstance(record, list):
        place = int(parts[0])
        return [*record[:place], _with(record[place], parts[1:], element), *record[place + 1 :]]
    if isinstance(record, Repeated):  # it stays one, and so malformed
        pairs = [(key, _with(item, parts[1:], element) if key == parts[0] else item) for key, item in record.pairs]
        return Repeated(pairs)
    return {**record, parts[0]: _with(record[parts[0]], parts[1:], element)}


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case dict():
            return "object"
        case list():
            return "list"
    return "string" if type(value) is str else "number"
