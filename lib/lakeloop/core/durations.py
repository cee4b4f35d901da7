"""Lengths of time as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`."""

import datetime as dt
import re
from typing import Annotated

from pydantic import BeforeValidator

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _parsed(value: object) -> dt.timedelta:
    if isinstance(value, dt.timedelta):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", str(value))
    if found is None:
        raise ValueError("a length of time is a number and a unit: ms, s, m, h or d, as 30s")
    return dt.timedelta(seconds=float(found[1]) * UNITS[found[2]])


Duration = Annotated[dt.timedelta, BeforeValidator(_parsed)]
