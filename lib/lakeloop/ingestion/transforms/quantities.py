"""`numbers` and `units`: numbers as people and systems write them."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.transforms.allowed import NumberType, distinct
from lakeloop.ingestion.transforms.casting import strict_cast
from lakeloop.ingestion.transforms.conformed import Conformed, Conversion, article
from lakeloop.quality.row_rules.columns import quoted, value_of

MINUS = "-−"
BLANKS = "[ \u00a0\u2009\u202f]"


def _separator(value: str) -> str:
    if len(value) != 1 or value.isalnum() or value in f"+()%{MINUS}":
        raise ValueError(f"'{value}' cannot part the digits of a number; write one character, as '.' or ','")
    return value


def _sign(value: str) -> str:
    if not value.strip() or any(character.isdigit() or character in f"+()%{MINUS}" for character in value):
        raise ValueError(f"'{value}' cannot stand for a currency; write its sign or code, as € or EUR")
    return value


Separator = Annotated[str, AfterValidator(_separator)]
Signs = Annotated[list[Annotated[str, AfterValidator(_sign)]], Field(min_length=1), AfterValidator(distinct)]


def one_among(texts: list[str]) -> str:
    """The pattern of one of these texts, literally; the longest that fits is taken."""
    return "|".join(re.escape(text) for text in sorted(texts, key=lambda text: (-len(text), text)))


class NumberNotation(Declaration):
    """How the numbers of a column are written, and the type they become."""

    to: NumberType
    decimal: Separator = "."
    thousands: Separator | None = Field(default=None, description="Between each three digits; a blank is any blank")
    percent: bool = Field(default=False, description="A % sign may follow, and divides by a hundred")
    currency: Signs | None = Field(default=None, description="Signs that may stand before or after the number")
    negative_parentheses: bool = Field(default=False, description="(1) is -1")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.decimal == self.thousands:
            raise PydanticCustomError("numbers", "decimal and thousands cannot be the same character")
        if self.percent and self.to in ("int", "bigint"):
            raise PydanticCustomError("numbers", "a percentage is a fraction: write `to: double` or a decimal")
        return self

    @property
    def pattern(self) -> str:
        """Such a text as a whole; a currency stands before or after, a sign before it or between it and the number."""
        group = BLANKS if self.thousands == " " else re.escape(self.thousands or "")
        whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)" if self.thousands else r"\d+"
        point = re.escape(self.decimal)
        number = rf"(?:{whole}(?:{point}\d+)?|{point}\d+)" + (f"(?:{BLANKS}?%)?" if self.percent else "")
        sign = f"[{MINUS}+]?"
        forms = [sign + number]
        if self.currency:
            money = f"(?:{one_among(self.currency)})"
            forms += [f"{money}{BLANKS}?{sign}{number}", f"{sign}{money}{BLANKS}?{number}"]
            forms += [f"{sign}{number}{BLANKS}?{money}"]
        if self.negative_parentheses:
            forms += [rf"\({form.replace(sign, '')}\)" for form in forms]
        return rf"\A(?:{'|'.join(dict.fromkeys(forms))})\z"

    def plain(self, text: Column) -> Column:
        """The number as SQL writes it, or NULL where the text is no such number."""
        bare = F.regexp_replace(text, one_among(self.currency), "") if self.currency else text
        digits = F.regexp_replace(bare, rf"[^\d{re.escape(self.decimal)}]", "")
        point = F.translate(digits, self.decimal, ".")
        minus = F.when(text.rlike(rf"[{MINUS}(]"), "-").otherwise("")
        hundredth = F.when(text.rlike("%"), "e-2").otherwise("") if self.percent else F.lit("")
        return F.when(text.rlike(self.pattern), F.concat(minus, point, hundredth))

    @property
    def example(self) -> str:
        """A number written so."""
        whole = f"1{self.thousands}234" if self.thousands else "1234"
        return whole if self.to in ("int", "bigint") else f"{whole}{self.decimal}5"


class Numbers(RootModel[Annotated[dict[str, NumberNotation], Field(min_length=1)]]):
    """`numbers: {a: {decimal: ",", thousands: ".", to: "decimal(10,2)"}}`: the whole text is such a number, or none.

    `thousands` part groups of three digits or do not stand there at all, so 1.5 is no number where `.` parts thousands.
    Digits beyond a decimal's scale are rounded half up; an integer has none. A number that is one already is cast. NULL
    stays NULL; what is no such number quarantines its row as `<column>_is_castable`.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are read."""
        return set(self.root)

    @property
    def types(self) -> dict[str, str]:
        """The declared types by column."""
        return {column: notation.to for column, notation in self.root.items()}

    def apply(self, conformed: Conformed) -> Conformed:
        """Convert the columns in place."""
        conformed.require(list(self.root), "numbers")
        schema = conformed.frame.schema
        plain = {column: conformed.marker(f"plain_{column}") for column in self.root}
        conformed = conformed.changed(
            {plain[column]: how.plain(value_of(column).cast("string")) for column, how in self.root.items()}
        )
        return conformed.convert(
            {
                column: Conversion(
                    _typed(column, plain[column], how.to, schema[column].dataType),
                    f"{article(how.to)} like {how.example}",
                )
                for column, how in self.root.items()
            }
        )


def _typed(column: str, plain: str, sql_type: str, source: DataType) -> Column:
    if isinstance(source, NumericType):
        return strict_cast(column, sql_type, source)
    return F.expr(f"try_cast({quoted(plain)} AS {sql_type})")
