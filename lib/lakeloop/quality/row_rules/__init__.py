"""Row rules: each gives a Column that holds the message where a row violates the rule and NULL where it holds.

Unless said otherwise NULL holds: absence is the business of `is_not_null` alone. A message shows the value it found.
"""

from collections.abc import Callable

from pyspark.sql import Column

from lakeloop.quality.row_rules import (
    check_digits,
    conditions,
    formats,
    numbers,
    presence,
    sets,
    several_columns,
    texts,
    time_formats,
    times,
    types,
)

ROW_RULES: tuple[Callable[..., Column], ...] = (
    *presence.RULES,
    *types.RULES,
    *numbers.RULES,
    *sets.RULES,
    *texts.RULES,
    *formats.RULES,
    *check_digits.RULES,
    *times.RULES,
    *time_formats.RULES,
    *several_columns.RULES,
    *conditions.RULES,
)
