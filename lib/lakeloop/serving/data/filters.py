"""Filters as `column:operator:value`: a closed set of operators and values typed by the schema, never SQL."""

import datetime as dt
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.core.documents import propose
from lakeloop.lake.select import Masks
from lakeloop.serving.answers import RefusedError

COMPARISONS: dict[str, Callable[[pc.Expression, Any], pc.Expression]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
WITHOUT_VALUE = {"null", "notnull"}
MOST_FILTERS = 20


def parse_filters(texts: Sequence[str], schema: pa.Schema, masks: Masks) -> pc.Expression | None:
    """All filters joined by AND; None where there are none. As in SQL, NULL satisfies none of them but `null`.

    Raises RefusedError for a filter that is not well formed, and for one on a masked column: what it let through
    would tell the value.
    """
    if len(texts) > MOST_FILTERS:
        raise RefusedError(400, f"a request has {MOST_FILTERS} filters at most, found {len(texts)}")
    return reduce(operator.and_, (_parse(text, schema, masks) for text in texts)) if texts else None


def require_column(name: str, schema: pa.Schema) -> pa.Field:
    """The column of that name. Raises RefusedError that proposes the nearest."""
    if name not in schema.names:
        raise RefusedError(400, f"there is no column '{name}'; {propose(name, schema.names)}")
    return schema.field(name)


def _parse(text: str, schema: pa.Schema, masks: Masks) -> pc.Expression:
    name, _, rest = text.partition(":")
    operation, _, value = rest.partition(":")
    column = require_column(name, schema)
    if operation not in COMPARISONS and operation not in WITHOUT_VALUE:
        allowed = propose(operation, [*COMPARISONS, *WITHOUT_VALUE])
        raise RefusedError(400, f"a filter is column:operator:value; there is no operator '{operation}'; {allowed}")
    if name.lower() in {masked.lower() for masked in masks}:
        raise RefusedError(403, f"'{name}' is masked for this key, so rows cannot be chosen by it")
    if operation in WITHOUT_VALUE:
        return pc.field(name).is_null() if operation == "null" else pc.field(name).is_valid()
    try:
        typed = pa.scalar(_typed(value, column.type), column.type)
    except (ValueError, ArithmeticError, InvalidOperation, pa.ArrowException) as error:
        raise RefusedError(400, f"'{value}' is no value of '{name}', whose type is {column.type}") from error
    return COMPARISONS[operation](pc.field(name), typed)


def _typed(value: str, kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_boolean(kind):
        return {"true": True, "false": False}[value.lower()] if value.lower() in {"true", "false"} else int("")
    for is_kind, read in (
        (types.is_integer, int),
        (types.is_floating, float),
        (types.is_decimal, Decimal),
        (types.is_date, dt.date.fromisoformat),
        (types.is_string, str),
        (types.is_large_string, str),
    ):
        if is_kind(kind):
            return read(value)
    if types.is_timestamp(kind):
        at = dt.datetime.fromisoformat(value)
        if kind.tz is None:
            return at.replace(tzinfo=None)
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    raise RefusedError(400, f"columns of type {kind} take no filter but null and notnull")
