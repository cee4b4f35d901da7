"""The kinds of transforms, one declared entry, and the loop over them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import model_validator

from lakeloop.core.documents import ONE_KEY, Declaration, unknown_key
from lakeloop.ingestion.transforms.casting import Cast
from lakeloop.ingestion.transforms.columns import Map, Rename, Split
from lakeloop.ingestion.transforms.conformed import Conformed, Known, Step
from lakeloop.ingestion.transforms.dates import Dates
from lakeloop.ingestion.transforms.duplicates import Dedupe
from lakeloop.ingestion.transforms.missing import Impute
from lakeloop.ingestion.transforms.outliers import Outliers
from lakeloop.ingestion.transforms.quantities import Numbers
from lakeloop.ingestion.transforms.repair import Repair
from lakeloop.ingestion.transforms.survivorship import Survive
from lakeloop.ingestion.transforms.text import Normalise, Trim
from lakeloop.ingestion.transforms.units import Units


class Transform(Declaration):
    """One entry of `transforms`: a mapping with the kind as its only key."""

    model_config = ONE_KEY

    trim: Trim | None = None
    normalise: Normalise | None = None
    repair: Repair | None = None
    cast: Cast | None = None
    dates: Dates | None = None
    numbers: Numbers | None = None
    units: Units | None = None
    split: Split | None = None
    rename: Rename | None = None
    map: Map | None = None
    dedupe: Dedupe | None = None
    survive: Survive | None = None
    impute: Impute | None = None
    outliers: Outliers | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise ValueError("a transform is one entry 'kind: parameters'")
        kind, parameters = next(iter(value.items()))
        if kind not in cls.model_fields:
            raise unknown_key(str(kind), list(cls.model_fields), "transform")
        if parameters is None:
            raise ValueError(f"{kind} says nothing; give it its columns")
        return value

    @property
    def step(self) -> Step:
        """The one transform that is declared."""
        step: Step = next(step for _, step in self if step is not None)
        return step


def conform(conformed: Conformed, transforms: Sequence[Transform], known: Known | None = None) -> Conformed:
    """Apply transforms in order; `known` gives the good rows recorded before, for `dedupe` with `against: table`."""
    if known is not None:
        conformed = replace(conformed, known=known)
    for transform in transforms:
        conformed = transform.step.apply(conformed)
    return conformed


def is_by_row(transforms: Sequence[Transform]) -> bool:
    """Whether each row is conformed by itself: nothing is grouped, ordered or joined."""
    by_row = (Trim, Normalise, Repair, Cast, Dates, Numbers, Units, Split, Rename, Map)
    return all(isinstance(transform.step, by_row) for transform in transforms)


def declared_types(transforms: Sequence[Transform]) -> dict[str, str]:
    """The types that transforms give to columns, under the names that the columns have in the end."""
    types: dict[str, str] = {}
    for step in (transform.step for transform in transforms):
        if isinstance(step, Cast | Dates | Numbers | Units):
            types |= step.types
        elif isinstance(step, Rename):
            types = {step.root.get(column, column): sql_type for column, sql_type in types.items()}
    return types


def declared_severities(transforms: Sequence[Transform]) -> dict[str, str]:
    """The findings of transforms that do not quarantine their row, by name."""
    steps = [transform.step for transform in transforms]
    return {name: severity for step in steps if isinstance(step, Survive) for name, severity in step.severities.items()}


def read_as_text(transforms: Sequence[Transform]) -> frozenset[str]:
    """The columns of the source that transforms convert from text themselves, under the names of the source."""
    texts: set[str] = set()
    in_source: dict[str, str] = {}
    for step in (transform.step for transform in transforms):
        if isinstance(step, Rename):
            in_source = {new: in_source.get(old, old) for old, new in step.root.items()}
        elif isinstance(step, Split):
            texts |= {in_source.get(column, column) for column in step.root}
        elif isinstance(step, Trim | Normalise | Repair | Cast | Dates | Numbers | Units | Map):
            texts |= {in_source.get(column, column) for column in step.writes}
    return frozenset(texts)
