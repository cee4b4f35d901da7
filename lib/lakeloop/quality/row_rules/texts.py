"""Rules on texts and on the sizes of values. What is no text is judged by the text that Spark writes for it."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.regular_expressions import Pattern
from lakeloop.quality.row_rules.columns import is_like, text_of, value_of, violated_when

Count = Annotated[int, Field(ge=0)]


def matches(column: ColumnName, pattern: Pattern) -> Column:
    r"""A text matches a Java regular expression as a whole: 'a@b.org\n' does not match an address pattern. NULL holds.

    To find something anywhere, write `.*` around it, and `(?s)` before it where texts have several lines.
    """
    return violated_when(~is_like(text_of(column), pattern), column, f"a text like {pattern}")


def does_not_match(column: ColumnName, pattern: Pattern) -> Column:
    """A text does not match a Java regular expression as a whole. NULL holds. The opposite of `matches`."""
    return violated_when(is_like(text_of(column), pattern), column, f"no text like {pattern}")


def has_length(column: ColumnName, min: Count = 0, max: Count | None = None) -> Column:
    """A text has from `min` to `max` characters; those of Unicode count one each, whatever their bytes. NULL holds."""
    return _counted(F.char_length(text_of(column)), column, min, max, "characters")


def has_size(column: ColumnName, min: Count = 0, max: Count | None = None) -> Column:
    """An array has from `min` to `max` elements, or a map as many entries; those that are NULL count. NULL holds."""
    size = F.when(value_of(column).isNotNull(), F.size(value_of(column)))
    return _counted(size, column, min, max, "elements")


def _counted(count: Column, column: str, min: int, max: int | None, what: str) -> Column:
    wrong = count < min if max is None else (count < min) | (count > max)
    return violated_when(wrong, column, f"{min} to {'any number of' if max is None else max} {what}")


RULES = (matches, does_not_match, has_length, has_size)
