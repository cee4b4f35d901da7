"""`dates`: days and moments that are written in several ways, each declared by its format."""

import re
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampType

from lakeloop.core.documents import Declaration, propose
from lakeloop.ingestion.transforms.allowed import distinct, one_of
from lakeloop.ingestion.transforms.conformed import Conformed, Conversion, article
from lakeloop.quality.row_rules.columns import value_of

PARTS = (
    *("yyyy", "yy", "MMMM", "MMM", "MM", "M", "dd", "d"),
    *("HH", "H", "hh", "h", "a", "mm", "m", "ss", "s", *("S" * digits for digits in range(1, 7))),
    *("XXX", "XX", "X", "VV"),
)
ZONES = ("X", "V")

Target = Literal["date", "timestamp"]


def _format(text: str) -> str:
    """Refuse letters that no date has, parts that stand twice, and formats that do not name one day."""
    runs = [run[0] for run in re.finditer(r"'[^']*'|([A-Za-z])\1*", text) if run[0][0] != "'"]
    for run in runs:
        if run not in PARTS:
            known = run.lower() if run.lower() in PARTS else run
            raise ValueError(f"'{run}' in '{text}' is no part of a date; {propose(known, list(PARTS))}")
    letters = [run[0] for run in runs]
    if repeated := sorted({letter for letter in letters if letters.count(letter) > 1}):
        raise ValueError(f"'{', '.join(repeated)}' stands twice in '{text}'; name each part of a date once")
    if missing := [name for name in ("yyyy", "MM", "dd") if name[0] not in letters]:
        raise ValueError(f"'{text}' does not name a day; {', '.join(missing)} is missing")
    if ("h" in letters) != ("a" in letters):
        raise ValueError(f"'{text}': hh counts to twelve and belongs to a (AM or PM); HH counts to 23")
    if text.count("'") % 2 or text.count("[") != text.count("]"):
        raise ValueError(f"'{text}': a quote or bracket is not closed")
    if unusable := sorted(set(re.sub(r"'[^']*'", "", text)) & set("#{}")):
        raise ValueError(f"'{text}': put {' '.join(unusable)} between single quotes")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is no time zone; write a region and city, as Europe/Rome, or UTC") from error
    return name


DateFormat = Annotated[str, AfterValidator(_format)]


def _names_zone(text: str) -> bool:
    return any(letter in re.sub(r"'[^']*'", "", text) for letter in ZONES)


class DateNotation(Declaration):
    """How the days or moments of a column are written, and what they become."""

    formats: Annotated[list[DateFormat], Field(min_length=1), AfterValidator(distinct)]
    to: Annotated[Target, one_of(Target, "kind of date")]
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="Of moments without an offset")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        zoned = [text for text in self.formats if _names_zone(text)]
        if self.to == "date" and (zoned or "time_zone" in self.model_fields_set):
            raise PydanticCustomError("dates", "a date has no time zone: write `to: timestamp`, or leave the zone out")
        return self

    def read(self, column: str, source: DataType) -> Column:
        """The day or moment, or NULL where no format fits. What is one already is taken as it is."""
        if isinstance(source, DateType | TimestampType):
            return value_of(column).cast(self.to)
        moment = F.coalesce(*(self._moment(value_of(column).cast("string"), text) for text in self.formats))
        return F.when(F.year(moment).between(1, 9999), moment).cast(self.to)

    def _moment(self, value: Column, text: str) -> Column:
        """One format tried. Each has a `VV`, without which Spark raises where its parser of old would have read on."""
        if _names_zone(text):
            return F.try_to_timestamp(value, F.lit(f"{text}[VV'\uffff']"))  # an option that no text takes
        # The zone goes into the text, so that the session's has no part in a moment; a day is the same in any.
        zone = F.current_timezone() if self.to == "date" else F.lit(self.time_zone)
        return F.try_to_timestamp(F.concat(value, F.lit(" "), zone), F.lit(f"{text} VV"))


class Dates(RootModel[Annotated[dict[str, DateNotation], Field(min_length=1)]]):
    """`dates: {a: {formats: [dd/MM/yyyy, MM/dd/yyyy], to: date}}`: the first format that fits the whole text decides.

    So the declared order settles what 03/04/2026 means, for every row alike. `yyyy` takes four digits; `yy` stands for
    20yy and must be asked for. A local hour that a change of the clocks leaves out is read one hour later, one that
    comes twice is the first. NULL stays NULL; what fits no format quarantines its row as `<column>_is_castable`.
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
        conformed.require(list(self.root), "dates")
        schema = conformed.frame.schema
        return conformed.convert(
            {
                column: Conversion(
                    notation.read(column, schema[column].dataType),
                    f"{article(notation.to)} as {' or '.join(notation.formats)}",
                )
                for column, notation in self.root.items()
            }
        )
