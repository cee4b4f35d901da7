"""What a body asks of a model: a row, many rows, or the rows of ids."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakeloop.core.documents import propose
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.models.rows import MOST_ROWS, Fields, require_key

ONE, MANY = ("row", "id"), ("rows", "ids")
GOES_WITH = {"key": ("row", "rows"), "keys": ("rows",), "as_of": ("id", "ids")}  # of an id it is the key itself
KNOWN = frozenset({*ONE, *MANY, *GOES_WITH})
ROW_ALONE = frozenset({"row", "key"})


@dataclass(frozen=True)
class Asked:
    """Rows to be answered, or the ids that they are found by; `keys` say whose each is, None where nobody said."""

    rows: Sequence[dict[str, Any]] | None
    ids: Sequence[str] | None
    keys: Sequence[str | None]
    is_many: bool = False
    as_of: dt.datetime | None = None


def asked_of(body: dict[str, Any], fields: Fields, *, many: bool = True) -> Asked:
    """What a body asks. Raises RefusedError that names the field which is wrong, and of a batch the row."""
    kind = "row" if body.keys() <= ROW_ALONE and "row" in body else _kind(body, many)
    if kind == "row":
        key = body.get("key")
        return Asked((fields.require(body["row"]),), None, (None if key is None else require_key(key),))
    as_of = _moment(body["as_of"]) if body.get("as_of") is not None else None
    if kind == "id":
        one = (require_key(body["id"], "id"),)
        return Asked(None, one, one, as_of=as_of)
    listed = body[kind]
    if type(listed) is not list or not 0 < len(listed) <= MOST_ROWS:
        found = f"a list of {len(listed):,}" if type(listed) is list else "no list"
        raise RefusedError(400, f"field '{kind}' is {found}; it is a list of 1 to {MOST_ROWS:,}")
    if kind == "ids":
        ids = tuple(require_key(value, f"ids[{at}]") for at, value in enumerate(listed))
        return Asked(None, ids, ids, is_many=True, as_of=as_of)
    rows = [fields.require(row, at) for at, row in enumerate(listed, 1)]
    return Asked(rows, None, _keys(body, len(rows)), is_many=True)


def _kind(body: dict[str, Any], many: bool) -> str:
    """Which of the four ways to ask a body takes, with nothing beside that does not go with it."""
    if unknown := next((name for name in body if name not in KNOWN), None):
        raise RefusedError(400, f"the body has no field '{unknown[:60]}'; {propose(unknown[:60], list(KNOWN))}")
    allowed = (*ONE, *MANY) if many else ONE
    said = [name for name in (*ONE, *MANY) if name in body]
    if len(said) != 1 or said[0] not in allowed:
        found = " and ".join(said) or "none of them"
        raise RefusedError(400, f"the body has one of the fields {', '.join(allowed)}; found {found}")
    for name in body.keys() - {said[0]}:
        if said[0] not in GOES_WITH[name]:
            raise RefusedError(400, f"field '{name}' goes with {' or '.join(GOES_WITH[name])}, not with {said[0]}")
    return said[0]


def _keys(body: dict[str, Any], rows: int) -> Sequence[str | None]:
    if (keys := body.get("keys")) is not None:
        if "key" in body:
            raise RefusedError(400, "the body has 'key' and 'keys'; give one of them")
        if type(keys) is not list or len(keys) != rows:
            raise RefusedError(400, f"field 'keys' is a list of as many as there are rows, {rows:,}; null says nothing")
        return [None if key is None else require_key(key, f"keys[{at}]") for at, key in enumerate(keys)]
    key = body.get("key")
    return [None if key is None else require_key(key)] * rows


def _moment(value: Any) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise RefusedError(400, "field 'as_of' is a time such as 2026-01-31T08:30:00Z") from error
