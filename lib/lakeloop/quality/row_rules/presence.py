"""Whether a value is there. NULL, the empty text, blanks and NaN are four things, and each has its rule."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_nan, text_of, value_of, violated_when


def is_not_null(column: ColumnName) -> Column:
    """A value is there. Violated by NULL only: NaN and the empty string hold."""
    return violated_when(value_of(column).isNull(), column, "a value")


def is_null(column: ColumnName) -> Column:
    """No value is there. Violated by every value, NaN and the empty text among them."""
    return violated_when(value_of(column).isNotNull(), column, "no value")


def is_not_empty(column: ColumnName) -> Column:
    """A text has a character; a blank is one. Violated by the empty text only: NULL holds."""
    return violated_when(text_of(column) == "", column, "a text that is not empty")


def is_not_blank(column: ColumnName) -> Column:
    """A text has a character other than white space, that of Unicode included. NULL violates it."""
    text = text_of(column)
    # Most texts begin with a visible character of ASCII, and then no regular expression is asked.
    readable = ((text >= "!") & (text < "\x7f")) | text.rlike(r"(?U)\S")
    return violated_when(~F.coalesce(readable, F.lit(False)), column, "a text that is not blank")


def is_not_nan(column: ColumnName) -> Column:
    """A `double` or `float` is not NaN, the result of 0/0. NULL holds, and so do all values of other types."""
    return violated_when(is_nan(column), column, "a number that is not NaN")


RULES = (is_not_null, is_null, is_not_empty, is_not_blank, is_not_nan)
