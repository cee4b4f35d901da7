"""How far back rows are compared: within a batch, with all rows so far, or within a length of time."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

from lakeloop.core.durations import Written, parse_duration

BATCH: Literal["batch"] = "batch"
ALL: Literal["all"] = "all"


def _parsed(value: Any) -> Any:
    if value in (BATCH, ALL) or isinstance(value, dt.timedelta):
        return value
    try:
        return parse_duration(value)
    except PydanticCustomError as error:
        text = "how far back rows are compared is `batch`, `all` or a length of time, as 90s or 7d"
        raise PydanticCustomError("horizon", "{text}", {"text": text}) from error


Horizon = Annotated[
    Literal["batch", "all"] | dt.timedelta,
    BeforeValidator(_parsed, json_schema_input_type=Literal["batch", "all"] | Written),
    PlainSerializer(str),
]
