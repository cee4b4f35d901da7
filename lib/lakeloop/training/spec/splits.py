"""Which rows are held out and which ones measure, as a model file says it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.training.spec.names import ColumnName

SplitKind = Literal["stratified", "random", "group", "time"]
NEEDS_COLUMN = ("group", "time")


class Split(Declaration):
    """Rows held out of everything until the champion is measured once."""

    test: float = Field(gt=0, lt=1, description="Share of the rows that is held out")
    seed: int = Field(0, description="Decides which rows are held out, together with the key only")
    kind: SplitKind | None = Field(
        None,
        description="stratified (default for classes): a share of each class; random (default for numbers): of all "
        "rows; group: whole groups; time: the last rows",
    )
    by: ColumnName | None = Field(None, description="For group, the column of the groups; for time, that of the time")

    @model_validator(mode="after")
    def _has_its_column(self) -> Self:
        _require_column(self.kind, self.by)
        return self


class Folds(Declaration):
    """Cross-validation on the rows that are not held out."""

    kind: SplitKind | None = Field(
        None,
        description="stratified (default for classes): the same share of each class in every fold; random (default for "
        "numbers): any rows; group: whole groups; time: the rows before train, the next ones measure",
    )
    by: ColumnName | None = Field(None, description="For group, the column of the groups; for time, that of the time")
    count: int = Field(5, ge=2, le=50, description="Number of folds")
    repeats: int = Field(1, ge=1, le=20, description="How often the rows are dealt into folds, each time otherwise")
    seed: int = Field(description="Decides the folds and what the algorithms draw at random")

    @model_validator(mode="after")
    def _has_its_column(self) -> Self:
        _require_column(self.kind, self.by)
        if self.kind == "time" and self.repeats > 1:
            raise ValueError("folds by time are the same each time; take repeats out")
        return self


def _require_column(kind: SplitKind | None, by: str | None) -> None:
    if kind in NEEDS_COLUMN and by is None:
        raise ValueError(f"kind {kind} needs `by`, the column of the {kind}")
    if kind not in NEEDS_COLUMN and by is not None:
        raise ValueError(f"{f'kind {kind}' if kind else '`by` without a kind'} takes no `by`; say kind: group or time")
