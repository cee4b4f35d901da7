"""What a model predicts, as its file says it."""

from typing import Self

from pydantic import Field, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.training.metrics.names import Task
from lakeloop.training.spec.names import ColumnName


class Label(Declaration):
    """The column to predict: one of two classes, of which one is the positive one, or a number."""

    column: ColumnName = Field(description="Column without NULL: of exactly two values, or for a regression of numbers")
    positive: str | bool | int | None = Field(None, description="Value of the positive class, compared as text")
    task: Task = Field("binary", description="binary: is a row positive? regression: how large is its number?")

    @property
    def positive_text(self) -> str:
        """The positive value as Spark casts it to a string (`true`, not `True`)."""
        return str(self.positive).lower() if isinstance(self.positive, bool) else str(self.positive)

    @model_validator(mode="after")
    def _has_a_positive_class_or_a_number(self) -> Self:
        if self.task == "binary" and self.positive is None:
            raise ValueError("say which value is `positive`, or `task: regression` for a column of numbers")
        if self.task == "regression" and self.positive is not None:
            raise ValueError("a regression has no `positive` class; take it or `task: regression` out")
        return self
