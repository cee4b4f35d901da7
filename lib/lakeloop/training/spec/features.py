"""The columns that a model looks at, as its file says it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.training.spec.names import ColumnName


class Pca(Declaration):
    """Principal components of the scaled features, for candidates that say `on: pca`."""

    components: int = Field(ge=1, description="Number of components; at most the number of feature slots")


class Features(Declaration):
    """The columns a model looks at."""

    numeric: tuple[ColumnName, ...] = Field((), description="Numeric columns: imputed, then scaled")
    categorical: tuple[ColumnName, ...] = Field((), description="Columns of any type: one-hot, NULL is a category")
    impute: Literal["median", "mean"] = Field("median", description="What stands in for a missing number")
    pca: Pca | None = Field(None, description="Principal components, if a candidate wants them")

    @property
    def columns(self) -> tuple[str, ...]:
        """All source columns in the order of the feature vector: numeric first."""
        return (*self.numeric, *self.categorical)

    @model_validator(mode="after")
    def _has_each_column_once(self) -> Self:
        repeated = sorted({column for column in self.columns if self.columns.count(column) > 1})
        if repeated or not self.columns:
            raise ValueError(f"features stand twice: {', '.join(repeated)}" if repeated else "no feature is declared")
        return self
