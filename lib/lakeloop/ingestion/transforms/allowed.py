"""Words that a declaration may hold; a wrong one is answered with the nearest that is allowed."""

import re
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from lakeloop.core.documents import propose

SIMPLE_TYPES = ("boolean", "int", "bigint", "float", "double", "string", "date", "timestamp")
NUMERIC_TYPES = ("int", "bigint", "float", "double")
DECIMAL = re.compile(r"^decimal\(\s*\d{1,2}\s*,\s*\d{1,2}\s*\)$")


def one_of(literal: Any, what: str) -> BeforeValidator:
    """Refuse a value that is none of a `Literal`, naming the nearest that is; `what` says what it should have been."""
    allowed = get_args(literal)

    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"'{value}' is no {what}; {propose(str(value), list(allowed))}")
        return value

    return BeforeValidator(check, json_schema_input_type=literal)


def _known_type(value: str) -> str:
    if value not in SIMPLE_TYPES and not DECIMAL.match(value):
        raise ValueError(f"'{value}' is no type; {propose(value, [*SIMPLE_TYPES, 'decimal(10,2)'])}")
    return value


def _number_type(value: str) -> str:
    if value not in NUMERIC_TYPES and not DECIMAL.match(value):
        raise ValueError(f"'{value}' is no type of a number; {propose(value, [*NUMERIC_TYPES, 'decimal(10,2)'])}")
    return value


def distinct(values: list[Any]) -> list[Any]:
    """Refuse a list that says something twice."""
    if repeated := sorted({str(value) for value in values if values.count(value) > 1}):
        raise ValueError(f"{', '.join(repeated)} stands twice")
    return values


SqlType = Annotated[str, AfterValidator(_known_type)]
NumberType = Annotated[str, AfterValidator(_number_type)]
Columns = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]
