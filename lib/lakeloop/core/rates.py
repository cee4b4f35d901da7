"""How often something may be asked for, as people write it: `20/s`, `600/m`, `1000/h`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

RATE = re.compile(r"(\d{1,6})\s*/\s*([smh])")
SECONDS = {"s": 1, "m": 60, "h": 3600}


def _rate(value: Any) -> Any:
    match = RATE.fullmatch(str(value).strip())
    if match is None or match[1].strip("0") == "":
        raise ValueError("a rate is a whole number of requests per s, m or h, as 20/s")
    return str(value)


Written = Annotated[str, Field(pattern=r"^\s*\d{1,6}\s*/\s*[smh]\s*$")]
Rate = Annotated[str, BeforeValidator(_rate, json_schema_input_type=Written)]


def per_second(rate: str) -> float:
    """A valid rate in requests a second."""
    match = RATE.fullmatch(rate.strip())
    assert match is not None
    return int(match[1]) / SECONDS[match[2]]
