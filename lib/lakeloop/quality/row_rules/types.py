"""Whether a text is a value of a type, exactly: Spark's casts also take ' 5 ', 5.7 for an int and '2025' for a day."""

import math
import re
from typing import Annotated

from pydantic import AfterValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_like, text_of, try_cast, value_of, violated_when
from lakeloop.quality.row_rules.numbers import NUMBER
from lakeloop.quality.row_rules.times import CLOCK, DAY, OFFSET

WHOLE = "[+-]?[0-9]+"
FORMS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), WHOLE),
    **dict.fromkeys(("float", "double"), f"{NUMBER}|NaN"),
    "decimal": r"[+-]?[0-9]+(?:\.[0-9]+)?",
    "boolean": "(?i:true|false)",
    "date": DAY,
    "timestamp": rf"{DAY}[T ]{CLOCK}{OFFSET}?",
    "timestamp_ntz": rf"{DAY}[T ]{CLOCK}",
}
DECIMAL = re.compile(r"decimal\(([0-9]{1,2}), ?([0-9]{1,2})\)")


def _type(text: str) -> str:
    if match := DECIMAL.fullmatch(text):
        if not (1 <= int(match[1]) <= 38 and int(match[2]) <= int(match[1])):
            raise ValueError(f"'{text}': a decimal has 1 to 38 digits, and no more behind its point")
    elif text not in FORMS or text == "decimal":
        raise ValueError(f"unknown type '{text}'; {propose(text, [*FORMS, 'decimal(10,2)'][:5] + list(FORMS)[5:])}")
    return text


def is_castable(column: ColumnName, type: Annotated[str, AfterValidator(_type)]) -> Column:
    """A text is a value of a type of Spark, exactly: what the cast gives is what the text says.

    So no blanks, no `5.7` or `1e3` for an `int`, no digits that a `decimal(10,2)` would round away, no `yes` for a
    `boolean`, no `2025` or `12:30` for a `timestamp`, and no number beyond the type. NULL holds.
    """
    kind = type.split("(")[0]
    cast = try_cast(column, type, by_text=True)
    right = is_like(text_of(column), FORMS[kind]) & cast.isNotNull()
    if kind == "decimal":
        places = type.split(",")[1].strip(" )")
        right = right & is_like(text_of(column), rf"[^.]*(?:\.[0-9]{{0,{places}}}0*)?")  # nothing is rounded away
    if kind in {"float", "double"}:
        right = right & ((F.abs(cast) < math.inf) | F.isnan(cast) | text_of(column).contains("Infinity"))
    return violated_when(value_of(column).isNotNull() & ~right, column, f"a value of type {type}")


RULES = (is_castable,)
