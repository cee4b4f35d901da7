"""The columns that a model looks at and what is made of each, as its file says it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from lakeloop.core.documents import Declaration, propose
from lakeloop.training.spec.names import ColumnName
from lakeloop.training.spec.selection import Selection
from lakeloop.training.spec.text import Text

Impute = Literal["median", "mean", "mode"]
Scale = Literal["standard", "robust", "min_max", "none"]
Encoding = Literal["target", "frequency"]
DatePart = Literal["year", "month", "day_of_week", "hour", "age_days"]
Quantiles = Annotated[int, Field(ge=2, le=1000)]
Limits = Annotated[tuple[float, ...], Field(min_length=1)]


def _shape(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping) else "list"


Texts = Annotated[
    Annotated[tuple[ColumnName, ...], Tag("list")] | Annotated[dict[ColumnName, Text], Tag("mapping")],
    Discriminator(_shape),
]

DATE_PARTS: tuple[DatePart, ...] = ("year", "month", "day_of_week")


class Pca(Declaration):
    """Principal components of the scaled features, for candidates that say `on: pca`."""

    components: int | None = Field(None, ge=1, description="Number of components; at most the number of feature slots")
    variance: float | None = Field(
        None, gt=0, lt=1, description="Share of the variance that the fewest components which do must explain"
    )

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if (self.components is None) == (self.variance is None):
            raise ValueError("pca says exactly one of components, variance")
        return self


class Features(Declaration):
    """The columns a model looks at, and what is made of them."""

    numeric: tuple[ColumnName, ...] = Field((), description="Numeric columns: imputed, then scaled")
    categorical: tuple[ColumnName, ...] = Field((), description="Columns of any type: one-hot, NULL is a category")
    dates: tuple[ColumnName, ...] | dict[ColumnName, Annotated[tuple[DatePart, ...], Field(min_length=1)]] = Field(
        (), description="Dates and timestamps: a list, or what is made of each; year, month, day_of_week if not said"
    )
    text: Texts = Field((), description="Columns of documents: a list, or how the words of each are counted")
    age_at: Annotated[date | ColumnName, Field(union_mode="left_to_right")] | None = Field(
        None, description="Column or date that age_days counts to"
    )
    impute: Impute = Field("median", description="What stands in for a missing number")
    scale: Scale = Field(
        "standard",
        description="standard: divided by the deviation; robust: by the interquartile range; min_max: to 0..1; none",
    )
    encode: dict[ColumnName, Encoding] = Field(
        {}, description="Categorical columns that are one number, not one-hot: the label's mean or the share of rows"
    )
    smoothing: float = Field(
        10,
        ge=0,
        description="Rows at which a category's own mean counts as much as the mean of all, for encode: target",
    )
    buckets: dict[ColumnName, Quantiles | Limits] = Field(
        {}, description="Numeric columns that are cut and one-hot: a number of quantiles, or limits"
    )
    interactions: tuple[Annotated[tuple[ColumnName, ...], Field(min_length=2)], ...] = Field(
        (), description="Products of numeric columns"
    )
    select: tuple[Selection, ...] = Field((), description="Selections of slots, applied in this order before scaling")
    pca: Pca | None = Field(None, description="Principal components, if a candidate wants them")

    @property
    def date_parts(self) -> dict[str, tuple[DatePart, ...]]:
        """What is made of each date, spelled out."""
        return dict(self.dates) if isinstance(self.dates, dict) else dict.fromkeys(self.dates, DATE_PARTS)

    @property
    def texts(self) -> dict[str, Text]:
        """What is made of each column of documents, spelled out."""
        return dict(self.text) if isinstance(self.text, dict) else {name: Text.model_validate({}) for name in self.text}

    @property
    def needs_spark_nlp(self) -> bool:
        """Whether a column of documents is for Spark NLP."""
        return any(text.engine == "spark_nlp" for text in self.texts.values())

    @property
    def are_counts(self) -> bool:
        """Whether each slot is a weight of a term, so at least 0 and not scaled."""
        plain = all(text.embeddings is None and not text.sentiment for text in self.texts.values())
        return plain and not (self.numeric or self.categorical or self.dates)

    @property
    def columns(self) -> tuple[str, ...]:
        """All source columns, each once: numeric, categorical, dates, text, and the one that ages are counted to."""
        reference = (self.age_at,) if isinstance(self.age_at, str) else ()
        return tuple(dict.fromkeys((*self.numeric, *self.categorical, *self.date_parts, *self.text, *reference)))

    @model_validator(mode="after")
    def _has_each_column_once(self) -> Self:
        repeated = _repeated([*self.numeric, *self.categorical, *self.dates, *self.text])
        if repeated or not self.columns:
            raise ValueError(f"features stand twice: {', '.join(repeated)}" if repeated else "no feature is declared")
        products = _repeated(" × ".join(sorted(names)) for names in self.interactions)
        if products:
            raise ValueError(f"interactions stand twice: {', '.join(products)}")
        return self

    @model_validator(mode="after")
    def _names_columns_that_it_has(self) -> Self:
        named: list[tuple[str, Iterable[str], str, tuple[str, ...]]] = [
            ("encode", self.encode, "categorical", self.categorical),
            ("buckets", self.buckets, "numeric", self.numeric),
            ("interactions", [name for names in self.interactions for name in names], "numeric", self.numeric),
        ]
        for key, columns, kind, allowed in named:
            for column in columns:
                if column not in allowed:
                    raise ValueError(
                        f"{key} names '{column}', which is not under {kind}; {propose(column, [*allowed])}"
                    )
        return self

    @model_validator(mode="after")
    def _keeps_words_sparse(self) -> Self:
        if self.scale == "min_max" and any(text.words for text in self.texts.values()):
            raise ValueError(
                "scale: min_max would store a number for every term of every document; say standard, robust or none, "
                "which leave terms as they are weighted"
            )
        return self

    @model_validator(mode="after")
    def _has_limits_that_ascend(self) -> Self:
        for column, limits in self.buckets.items():
            if not isinstance(limits, int) and any(low >= high for low, high in pairwise(limits)):
                raise ValueError(f"limits of buckets.{column} must ascend, found {', '.join(map(str, limits))}")
        return self

    @model_validator(mode="after")
    def _counts_ages_to_something(self) -> Self:
        has_ages = any("age_days" in parts for parts in self.date_parts.values())
        if has_ages and self.age_at is None:
            raise ValueError("age_days needs age_at: a column, such as the day of the snapshot, or a date; never today")
        if self.age_at is not None and not has_ages:
            raise ValueError("age_at is said but no date has age_days; add it or take age_at out")
        repeated = [f"{column}: {part}" for column, parts in self.date_parts.items() for part in _repeated(parts)]
        if repeated:
            raise ValueError(f"parts of dates stand twice: {', '.join(repeated)}")
        return self


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
