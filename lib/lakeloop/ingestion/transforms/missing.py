"""`impute`: a value where there is none."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, RootModel, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, NumericType, StructType

from lakeloop.core.documents import ONE_KEY, Declaration, unknown_key
from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import statistics
from lakeloop.ingestion.transforms.allowed import Columns
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.ingestion.transforms.groups import figure_of_group, last_value
from lakeloop.ingestion.transforms.statistics import Figure, Take
from lakeloop.quality.row_rules.columns import value_of

FIGURES: Mapping[str, Take | None] = {"mean": statistics.mean, "median": statistics.median, "mode": None}

ONE_WAY = (
    "a column is filled in one way: mean, median, mode, or with what it takes, as {constant: 0} or "
    "{forward_fill: {by: [device], order_by: at}}"
)


class Group(Declaration):
    """The rows that a figure is taken of: without `by` all of the batch; NULLs in `by` are a group of their own."""

    by: Columns | None = None


class Forward(Declaration):
    """The rows that a value is carried along: those of the same `by`, in the order of `order_by`."""

    by: Columns
    order_by: str


class Filling(Declaration):
    """How one column is filled: exactly one of these ways; `median` is short for `{median: {}}`."""

    model_config = ONE_KEY
    short_form: ClassVar[JsonSchemaValue | None] = {"enum": [*FIGURES]}

    constant: str | int | float | bool | None = None
    mean: Group | None = None
    median: Group | None = None
    mode: Group | None = None
    forward_fill: Forward | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        ways = list(cls.model_fields)
        if isinstance(value, str):
            if value not in ways:
                raise unknown_key(value, ways, "way to impute")
            value = {value: {} if value in FIGURES else None}
        if not isinstance(value, Mapping):
            raise PydanticCustomError("impute", "{text}", {"text": ONE_WAY})
        return {way: {} if way in FIGURES and how is None else how for way, how in value.items()}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(getattr(self, way) is not None for way in type(self).model_fields) != 1:
            raise PydanticCustomError("impute", "{text}", {"text": ONE_WAY})
        return self

    @property
    def figure(self) -> tuple[str, Group] | None:
        """The declared figure and its group, or None where the way is another."""
        return next(((name, group) for name in FIGURES if (group := getattr(self, name)) is not None), None)

    @property
    def columns(self) -> list[str]:
        """The other columns that it looks at."""
        if self.forward_fill:
            return [*self.forward_fill.by, self.forward_fill.order_by]
        return list(self.figure[1].by or ()) if self.figure else []


class Impute(RootModel[Annotated[dict[str, Filling], Field(min_length=1)]]):
    """`impute: {a: {constant: 0}, b: median, c: {mean: {by: [city]}}, d: {forward_fill: {by: [id], order_by: at}}}`.

    Only NULL is filled, in the type of the column. Figures come from the batch at hand and not from the table: from its
    rows that are neither dropped nor have a finding so far, all of one step in one aggregate. A mean or median of
    integers is rounded half up; of several most frequent values the smallest is taken. `forward_fill` takes the last
    value before the row; rows without a key or an order neither give nor take one, and ties stand in the order of the
    source. Where there is no value to take, NULL stays.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are filled."""
        return set(self.root)

    def apply(self, conformed: Conformed) -> Conformed:
        """Fill the columns in place, from the rows as they come into this step.

        Raises TableError for a constant that is not of the column's type, and for a figure that the type has not.
        """
        conformed.require([*self.root, *(name for filling in self.root.values() for name in filling.columns)], "impute")
        for column, filling in self.root.items():
            if filling.figure:
                _require_type(column, filling.figure[0], conformed.frame.schema[column].dataType)
        fills = self._constants(conformed) | self._figures(conformed)
        for column, filling in self.root.items():
            if filling.figure and (by := filling.figure[1].by):
                conformed, fills[column] = figure_of_group(conformed, Figure(column, FIGURES[filling.figure[0]]), by)
            elif (along := filling.forward_fill) is not None:
                fills[column] = last_value(conformed, column, along.by, along.order_by)
        return conformed.changed({column: F.coalesce(value_of(column), fill) for column, fill in fills.items()})

    def _constants(self, conformed: Conformed) -> dict[str, Column]:
        constants = {c: how.constant for c, how in self.root.items() if how.constant is not None}
        if not constants:
            return {}
        types = dict(conformed.frame.dtypes)
        texts = conformed.frame.sparkSession.createDataFrame([tuple(str(value) for value in constants.values())])
        typed = texts.select(
            *(F.expr(f"try_cast(_{i} AS {types[c]})") for i, c in enumerate(constants, start=1))
        ).first()
        for value, (column, constant) in zip(typed or (), constants.items(), strict=True):
            if value is None:
                raise TableError(f"impute: {column} is of type {types[column]}, and the constant {constant!r} is not")
        return {column: F.lit(constant).cast(types[column]) for column, constant in constants.items()}

    def _figures(self, conformed: Conformed) -> dict[str, Column]:
        """Figures of the whole batch, as literals; they travel as text, which is exact for every type they may have."""
        wanted = {c: how.figure[0] for c, how in self.root.items() if how.figure and not how.figure[1].by}
        if not wanted:
            return {}
        schema = conformed.frame.schema
        rows = conformed.frame.where(statistics.is_counted(conformed))
        one = statistics.figures_of(rows, [Figure(column, FIGURES[name]) for column, name in wanted.items()])
        types = [schema[column].dataType for column in wanted]
        texts = one.select(
            *(statistics.in_type(f"_{i}", type_).cast("string") for i, type_ in enumerate(types))
        ).first()
        pairs = zip(wanted, texts or (), types, strict=True)
        return {column: F.lit(text).cast(type_) for column, text, type_ in pairs if text is not None}


def _require_type(column: str, figure: str, source: DataType) -> None:
    if figure == "mode" and isinstance(source, ArrayType | MapType | StructType | BinaryType):
        raise TableError(
            f"impute: {column} is of type {source.simpleString()}, which has no mode; fill it by a constant"
        )
    if figure != "mode" and not isinstance(source, NumericType):
        raise TableError(
            f"impute: {column} is of type {source.simpleString()}, which has no {figure}; make it a number before, by "
            "`cast` or `numbers`, or impute its mode"
        )
