"""`cast`: text to the type it has in the table, strictly, with the reason where it is no such thing."""

import operator
import re
from functools import reduce
from typing import Annotated

from pydantic import Field, RootModel
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType

from lakeloop.ingestion.transforms.allowed import SqlType
from lakeloop.ingestion.transforms.conformed import Conformed, Conversion, article, unexpected
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import quoted, value_of

NUMBER = re.compile(r"^(tinyint|smallint|int|bigint|float|double|decimal\(.*\))$")

DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
NAMES_A_DAY = r"^\d{4}-\d{2}-\d{2}"
ONLY_A_DAY = r"^\d{4}-\d{2}-\d{2}$"
JAVA_NUMBER = r"(?i)[\d.][df]\s*$|0x"  # '12d', '12f' and '0x1p3' are numbers in Java's eyes only


class Cast(RootModel[Annotated[dict[str, SqlType], Field(min_length=1)]]):
    """`cast: {a: int}`: convert, and quarantine the row as `a_is_castable` where the value is no such thing."""

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are cast."""
        return set(self.root)

    @property
    def types(self) -> dict[str, str]:
        """The declared types by column."""
        return self.root

    def apply(self, conformed: Conformed) -> Conformed:
        """Cast the columns in place; the original value stands in the message. What has its type stays as it is."""
        conformed.require(list(self.root), "cast")
        types = {column: conformed.frame.schema[column].dataType for column in self.root}
        return conformed.convert(
            {
                column: Conversion(strict_cast(column, sql_type, types[column]), article(sql_type))
                for column, sql_type in self.root.items()
                if types[column].simpleString() != sql_type.replace(" ", "")
            }
        )


def strict_cast(column: str, sql_type: str, source: DataType) -> Column:
    """A cast that gives NULL where the value is no such thing; `source` is the type it has.

    Without Spark's lenient readings of dates and Java's of numbers; a number with a fraction is no integer, and a text
    with more digits behind the point than a decimal has is not rounded to it. What is not a number is read by its
    text, so every type can be tried.
    """
    if isinstance(source, NumericType) and NUMBER.match(sql_type):
        number = F.expr(f"try_cast({quoted(column)} AS {sql_type})")
        return F.when(number == value_of(column), number) if sql_type.endswith("int") else number
    text = value_of(column).cast("string")
    converted = F.expr(f"try_cast(CAST({quoted(column)} AS string) AS {sql_type})")
    if sql_type in ("float", "double"):
        # Few texts have one of these letters, and only they are worth the regular expression.
        suspicious = reduce(operator.or_, (F.contains(text, F.lit(letter)) for letter in "dDfFxX"))
        return F.when(~suspicious | ~text.rlike(JAVA_NUMBER), converted)
    if decimal := DECIMAL.fullmatch(sql_type):
        return F.when(_keeps_its_digits(column, text, converted, int(decimal[1]), int(decimal[2])), converted)
    if sql_type == "timestamp":
        return F.when(_names_a_day(text), converted)
    if sql_type == "date":
        moment = F.expr(f"try_cast(CAST({quoted(column)} AS string) AS timestamp)")
        return F.when(text.rlike(ONLY_A_DAY) | (text.rlike(NAMES_A_DAY) & moment.isNotNull()), converted)
    return converted


def _keeps_its_digits(column: str, text: Column, converted: Column, precision: int, scale: int) -> Column:
    """Whether a decimal has all digits of its text; few texts are long enough to be looked at any closer."""
    point = F.locate(".", text)
    is_short = (point == 0) | (F.length(text) - point <= scale)
    has_exponent = F.contains(text, F.lit("e")) | F.contains(text, F.lit("E"))
    longest = F.expr(f"try_cast(CAST({quoted(column)} AS string) AS decimal(38,{38 - precision + scale}))")
    digits_beyond = text.rlike(rf"\.\d{{{scale}}}\d*[1-9]")
    return F.when(has_exponent, converted == longest).otherwise(is_short | ~digits_beyond)


def _names_a_day(text: Column) -> Column:
    """Whether a text that Spark reads as a timestamp begins with yyyy-MM-dd; it reads '2025' and '12:30' too.

    Three places tell, since the rest is as Spark wants it; a regular expression would cost more than the cast, and a
    `substring` counts the characters of the whole text.
    """
    day = F.substring(text, 10, 1)
    return (F.locate("-", text) == 5) & (F.locate("-", text, 8) == 8) & (day >= "0") & (day <= "9")


def uncastable(name: str, column: str, lost: str, sql_type: str) -> Finding:
    """The finding for values that a cast lost; `lost` holds the original where the cast gave NULL."""
    return unexpected(name, column, lost, article(sql_type))
