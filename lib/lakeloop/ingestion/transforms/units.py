"""`units`: quantities with their unit, brought to one unit."""

import math
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.ingestion.transforms.conformed import Conformed, Conversion
from lakeloop.ingestion.transforms.quantities import BLANKS, Separator, one_among
from lakeloop.quality.row_rules.columns import value_of


def _factor(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError("a factor is a number greater than zero")
    return value


def _unit(name: str) -> str:
    if not name.strip() or name != name.strip() or not (name[0].isalpha() or name[0] in "°%µμΩ'\""):
        raise ValueError(f"'{name}' is no name of a unit; it begins with a letter")
    return name


Factors = Annotated[
    dict[Annotated[str, AfterValidator(_unit)], Annotated[float, AfterValidator(_factor)]], Field(min_length=1)
]


class Unit(Declaration):
    """The units of a column, each as so many of the one that they become."""

    to: str
    from_: Factors = Field(alias="from", description="Unit: how many of `to` one of it is")
    default: str | None = Field(default=None, description="The unit of a number without one")
    decimal: Separator = "."

    @model_validator(mode="after")
    def _knows_its_units(self) -> Self:
        for unit in (self.to, self.default):
            if unit is not None and unit not in self.from_:
                raise unknown_key(unit, list(self.from_), "unit")
        if self.from_[self.to] != 1:
            raise PydanticCustomError("units", "{text}", {"text": f"one {self.to} is 1 {self.to}; mend its factor"})
        return self

    def amount(self, text: Column) -> Column:
        """So many of `to`, as a double, or NULL where the text is no quantity in a known unit."""
        number = rf"[+-]?(?:\d+(?:{re.escape(self.decimal)}\d+)?|{re.escape(self.decimal)}\d+)(?:[eE][+-]?\d+)?"
        optional = "" if self.default is None else "?"
        pattern = rf"\A({number}){BLANKS}*({one_among(list(self.from_))}){optional}\z"
        digits = F.translate(F.regexp_extract(text, pattern, 1), self.decimal, ".")
        factors = F.create_map(*(F.lit(part) for pair in self._factors.items() for part in pair))
        factor = F.try_element_at(factors, F.regexp_extract(text, pattern, 2))
        amount = F.when(text.rlike(pattern), digits).cast("double") * factor
        return F.when(F.abs(amount) < math.inf, amount)

    @property
    def _factors(self) -> dict[str, float]:
        """Factors by what stands after the number, which may be nothing."""
        return self.from_ if self.default is None else {**self.from_, "": self.from_[self.default]}


class Units(RootModel[Annotated[dict[str, Unit], Field(min_length=1)]]):
    """`units: {a: {to: kg, from: {g: 0.001, kg: 1}, default: kg}}`: '12.5 g' and '3kg' become kilograms, as a double.

    Units are told apart by their letters' case. NULL stays NULL; an unknown unit, and a missing one where there is no
    `default`, quarantine the row as `<column>_is_castable`.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are converted."""
        return set(self.root)

    @property
    def types(self) -> dict[str, str]:
        """The types that the columns become."""
        return dict.fromkeys(self.root, "double")

    def apply(self, conformed: Conformed) -> Conformed:
        """Convert the columns in place."""
        conformed.require(list(self.root), "units")
        return conformed.convert(
            {
                column: Conversion(
                    unit.amount(value_of(column).cast("string")), f"a number in {' or '.join(unit.from_)}"
                )
                for column, unit in self.root.items()
            }
        )
