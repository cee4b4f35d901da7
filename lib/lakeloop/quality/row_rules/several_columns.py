"""Rules on several columns of one row."""

import math
import operator
from functools import reduce
from typing import Annotated, Literal

from pydantic import PlainValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName, SeveralColumns
from lakeloop.quality.row_rules.columns import all_violated_when, is_nan, is_of_type, try_cast, value_of
from lakeloop.quality.row_rules.numbers import is_no_number, number_of, written

Operator = Literal["<", "<=", "=", "!=", ">=", ">"]
HOLDS = {"<": operator.lt, "<=": operator.le, "=": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt}
ROUNDING = 1e-14  # of a sum of doubles, as a share of it


def compares(column: ColumnName, operator: Operator, to: ColumnName) -> Column:
    """Two values of a row compare as declared: `{column: since, operator: "<=", to: until}`.

    Both are numbers, both are times, or both are texts, which compare character by character; NULL on either side
    holds. NaN violates every operator, since Spark would take it for the greatest number. A text beside a number must
    read as a number, or it violates the rule.
    """
    left, right = value_of(column), value_of(to)
    is_text, is_other_text = is_of_type(column, "string"), is_of_type(to, "string")
    numbers = [try_cast(name, "double", by_text=True) for name in (column, to)]
    is_off = F.isnan(numbers[0]) | F.isnan(numbers[1]) | ~F.coalesce(HOLDS[operator](*numbers), F.lit(False))
    mixed = left.isNotNull() & right.isNotNull() & is_off
    same = ~HOLDS[operator](left, right)
    has_nan = (is_nan(column) & right.isNotNull()) | (is_nan(to) & left.isNotNull())
    wrong = F.when(has_nan, True).when(is_text != is_other_text, mixed).otherwise(same)
    return all_violated_when(wrong, (column, to), f"{column} {operator} {to}")


def have_one_of(columns: SeveralColumns) -> Column:
    """At least one of the columns has a value. The empty text and NaN are values."""
    missing = reduce(operator.and_, (value_of(column).isNull() for column in columns))
    return all_violated_when(missing, columns, "a value in one of them")


def are_all_or_none(columns: SeveralColumns) -> Column:
    """All of the columns have a value, or none has one. The empty text and NaN are values."""
    is_there = [value_of(column).isNotNull() for column in columns]
    mixed = reduce(operator.or_, is_there) & ~reduce(operator.and_, is_there)
    return all_violated_when(mixed, columns, "values in all of them or in none")


def _tolerance(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError("a number from 0 on is needed here")
    return value


Tolerance = Annotated[int | float, PlainValidator(_tolerance, json_schema_input_type=float)]


def adds_up(column: ColumnName, of: SeveralColumns, within: Tolerance = 0) -> Column:
    """A number is the sum of the others: `{column: total, of: [net, tax], within: 0.01}`.

    `within` is the difference that is allowed. Numbers are added as doubles, and what is below a hundredth of a
    trillionth of the sum is rounding, so that 0.1 + 0.2 is 0.3. NULL in any of them holds; NaN, infinity and a text
    that is no number violate it.
    """
    names = (column, *of)
    all_there = reduce(operator.and_, (value_of(name).isNotNull() for name in names))
    total = reduce(operator.add, (number_of(name) for name in of))
    difference = F.abs(number_of(column) - total)
    size = reduce(operator.add, (F.abs(number_of(name)) for name in names))
    is_off = F.isnan(difference) | (difference == math.inf) | (difference > F.lit(float(within)) + size * ROUNDING)
    no_number = reduce(operator.or_, (is_no_number(name) for name in names))
    tolerance = f" within {written(within)}" if within else ""
    return all_violated_when(all_there & (no_number | is_off), names, f"{column} = {' + '.join(of)}{tolerance}")


RULES = (compares, have_one_of, are_all_or_none, adds_up)
