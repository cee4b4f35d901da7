"""`survive`: of the rows that several sources have of one key one is made, and where the sources disagree is told."""

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError
from pyspark.sql import Column, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StringType, StructType

from lakeloop.core.documents import ONE_KEY, Declaration, unknown_key
from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms.allowed import Columns
from lakeloop.ingestion.transforms.conflicts import with_conflicts
from lakeloop.ingestion.transforms.conformed import Conformed, text_of
from lakeloop.quality.row_rules.columns import value_of

ONE_WAY = "a value is chosen in one way: longest, most_common, {prefer: [crm, shop]} or {latest_by: updated_at}, alone"


class Way(Declaration):
    """Which values of a column come first: exactly one of these; `longest` is short for `{longest: true}`."""

    model_config = ONE_KEY
    short_form: ClassVar[JsonSchemaValue | None] = {"enum": ["longest", "most_common"]}

    prefer: Columns | None = Field(default=None, description="Sources, the best first; all others come last")
    latest_by: str | None = Field(default=None, description="Column; NULL is oldest")
    longest: Literal[True] | None = Field(default=None, description="The text with most characters")
    most_common: Literal[True] | None = Field(default=None, description="The value of most rows")

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in cls.model_fields:
                raise unknown_key(value, list(cls.model_fields), "way to choose")
            return {value: True}
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for _, way in self) != 1:
            raise PydanticCustomError("survive", "{text}", {"text": ONE_WAY})
        return self


class Survive(Declaration):
    """`survive: {keys: [id], from: origin, columns: {email: {prefer: [crm, shop]}}, otherwise: longest}`.

    Rows of one key in a batch become one, whose columns may come from different rows; the others are dropped. NULL
    never wins over a value. Of values that are equally good the smallest wins; of values with parts, as JSON. Rows that
    have a finding by then take no part and are quarantined; nor do rows with a NULL in the key, which stay as they are.

    The row that stays is the one that `otherwise` puts first, and where it does not tell, one chosen by its content.
    The value of `from`, the place in the source and Lakeloop's own columns are those of this row.
    """

    keys: Columns
    from_: str = Field(alias="from", description="Column that says where a row comes from")
    columns: dict[str, Way] = Field(default_factory=dict)
    otherwise: Way = Field(description="For all columns that are not named, and for the row that stays")
    report: Columns | None = Field(default=None, description="Columns whose conflicts between sources are findings")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.from_ in self.keys:
            raise ValueError(f"{self.from_}: rows of several sources share a key, so `from` is no part of it")
        if wrong := sorted({*self.columns, *(self.report or ())} & {*self.keys, self.from_}):
            raise ValueError(f"{', '.join(wrong)}: no two rows are merged by what tells them apart, as keys and `from`")
        return self

    @property
    def writes(self) -> set[str]:
        """The columns that are named; `otherwise` may replace any other that `replaces` does."""
        return set(self.columns)

    @property
    def severities(self) -> dict[str, Literal["warn"]]:
        """The findings that it reports."""
        return {f"{column}_conflicts": "warn" for column in self.report or ()}

    def replaces(self, column: str) -> bool:
        """Whether a value of the row that stays may be that of another row."""
        return column not in (*self.keys, self.from_)

    def apply(self, conformed: Conformed) -> Conformed:
        """Replace the values of the row that stays, drop the others, and find conflicts on the row that stays."""
        ordering = [way.latest_by for way in (*self.columns.values(), self.otherwise) if way.latest_by]
        named = [*self.keys, self.from_, *self.columns, *(self.report or ()), *ordering]
        conformed.require(named, "survive")
        taking = conformed.marker("takes_part")
        whole = reduce(operator.and_, (value_of(key).isNotNull() for key in self.keys))
        conformed = conformed.changed({taking: whole & ~conformed.is_dropped & ~conformed.is_bad})
        of_key = Window.partitionBy(F.col(taking), *map(value_of, self.keys))
        data = [name for name in conformed.frame.columns if not name.startswith("_") and self.replaces(name)]
        conformed, winners = self._winners(conformed, data, taking, of_key)

        place, lead = conformed.marker("place"), conformed.marker("lead")
        in_order = of_key.orderBy(*self._order(conformed))
        conformed = conformed.changed({
            place: F.row_number().over(in_order),
            lead: F.coalesce(F.first(self._source).over(in_order), F.lit("NULL")),
        })  # fmt: skip
        stays, goes = F.col(taking) & (F.col(place) == 1), F.col(taking) & (F.col(place) > 1)
        conformed = with_conflicts(conformed, self.report or (), self._source, F.col(taking), of_key, stays)
        conformed = conformed.changed({
            column: F.when(stays, winner).otherwise(value_of(column)) for column, winner in winners.items()
        })  # fmt: skip
        merged = F.concat(F.lit("merged into the row of this key from "), F.col(lead))
        return conformed.dropping("survive", F.when(goes, merged))

    @property
    def _source(self) -> Column:
        return value_of(self.from_).cast("string")

    def _winners(
        self, conformed: Conformed, data: Sequence[str], taking: str, of_key: WindowSpec
    ) -> tuple[Conformed, dict[str, Column]]:
        """The value that wins in each column: the smallest of those whose score is the highest of the key."""
        scores, best = {}, {}
        for number, column in enumerate(data):
            scores[column], best[column] = conformed.marker(f"score_{number}"), conformed.marker(f"best_{number}")
        there = {column: F.col(taking) & value_of(column).isNotNull() for column in data}
        ways = {column: self.columns.get(column, self.otherwise) for column in data}
        conformed = conformed.changed({
            # In a struct, so that a score of NULL is the lowest and not none.
            scores[column]: F.when(there[column], F.struct(self._score(conformed, column, ways[column], taking)))
            for column in data
        })  # fmt: skip
        conformed = conformed.changed({best[column]: F.max(scores[column]).over(of_key) for column in data})
        winners = {}
        for column in data:
            is_best = there[column] & (F.col(scores[column]) == F.col(best[column]))
            winners[column] = F.min_by(value_of(column), F.when(is_best, _orderable(conformed, column))).over(of_key)
        return conformed, winners

    def _score(self, conformed: Conformed, column: str, way: Way, taking: str) -> Column:
        """How good a value is: the higher, the better."""
        if way.longest:
            if not isinstance(conformed.frame.schema[column].dataType, StringType):
                kind = conformed.frame.schema[column].dataType.simpleString()
                raise TableError(f"survive: longest compares texts, and {column} is {kind}; choose another way for it")
            return F.char_length(value_of(column))
        if way.most_common:
            same = [F.col(taking), *map(value_of, self.keys), _orderable(conformed, column)]
            return F.count(F.lit(1)).over(Window.partitionBy(*same))
        return self._rank(way)

    def _order(self, conformed: Conformed) -> list[Column]:
        """The row that stays comes first."""
        tells = self.otherwise.prefer or self.otherwise.latest_by
        order = [self._rank(self.otherwise).desc_nulls_last()] if tells else []
        order.append(F.xxhash64(*(value_of(name) for name in conformed.frame.columns if not name.startswith("_"))))
        return [*order, *([F.xxhash64("_position")] if "_position" in conformed.frame.columns else [])]

    def _rank(self, way: Way) -> Column:
        """How good the row is that a value stands in: by its source, or by its time."""
        if way.latest_by:
            return value_of(way.latest_by)
        first, *others = way.prefer or []
        rank = F.when(self._source == first, 0)
        for place, source in enumerate(others, start=1):
            rank = rank.when(self._source == source, -place)
        return rank.otherwise(-1 - len(others))


def _orderable(conformed: Conformed, column: str) -> Column:
    """A value as it is compared: one with parts as JSON."""
    is_nested = isinstance(conformed.frame.schema[column].dataType, ArrayType | MapType | StructType)
    return text_of(conformed.frame, column) if is_nested else value_of(column)
