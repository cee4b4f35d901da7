"""Telling records that were read before: what identifies a record, small enough to be kept in a plan."""

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from lakeloop.ingestion.sources.files.json_documents import Number


def identity(values: Iterable[Any]) -> str:
    """16 characters that are equal for equal JSON values and, for all that will ever be compared, for no others.

    The order of keys does not count; a number is another value than the text of its digits.
    """
    text = json.dumps([_tagged(value) for value in values], sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=12).digest()).decode()


def _tagged(value: Any) -> Any:
    match value:
        case Number():
            return {"#": str(value)}
        case dict():
            return {f".{key}": _tagged(item) for key, item in value.items()}
        case list():
            return [_tagged(item) for item in value]
        case _:
            return value
