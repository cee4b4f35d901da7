"""What a model file says: `ModelSpec`, validated without Spark, its descriptions ending up in the JSON Schema."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.training.algorithms import ALGORITHMS, GridPoint, Space, grid_points, tunable
from lakeloop.training.metrics import Metric

# A dot or a backtick in a name would need quoting in every expression of Spark; the query that makes the table renames.
ColumnName = Annotated[str, StringConstraints(pattern=r"^[^.`]+$")]
TableName = Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")]
Values = Annotated[tuple[bool | int | float | str, ...], Field(min_length=1)]


def _grid(algorithm: str, text: str) -> Any:
    names: Any = {"propertyNames": {"enum": sorted(tunable(algorithm))}}
    return Field(None, description=f"{text}: values to try by Spark parameter name", json_schema_extra=names)


class Label(Declaration):
    """The column to predict and the value that counts as the positive class."""

    column: ColumnName = Field(description="Column with exactly two values and no NULL")
    positive: str | bool | int = Field(description="Value of the positive class, compared as text")

    @property
    def positive_text(self) -> str:
        """The positive value as Spark casts it to a string (`true`, not `True`)."""
        return str(self.positive).lower() if isinstance(self.positive, bool) else str(self.positive)


class Split(Declaration):
    """Rows held out of everything until the champion is measured once."""

    test: float = Field(gt=0, lt=1, description="Share of each class that is held out")
    seed: int = Field(description="Decides which rows are held out, together with the key only")


class Folds(Declaration):
    """Cross-validation on the rows that are not held out."""

    kind: Literal["stratified"] = Field("stratified", description="Every fold has the same share of each class")
    count: int = Field(5, ge=2, le=50, description="Number of folds")
    seed: int = Field(description="Decides the folds and what the algorithms draw at random")


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


class Candidate(Declaration):
    """One algorithm with its parameter grid, and the features it is fitted on."""

    logistic_regression: dict[str, Values] | None = _grid("logistic_regression", "Logistic regression")
    random_forest: dict[str, Values] | None = _grid("random_forest", "Random forest")
    gradient_boosted_trees: dict[str, Values] | None = _grid("gradient_boosted_trees", "Gradient-boosted trees")
    on: Space = Field("features", description="The scaled features, or their principal components")

    @field_validator(*ALGORITHMS)
    @classmethod
    def _has_valid_params(cls, grid: dict[str, Values] | None, info: ValidationInfo) -> dict[str, Values] | None:
        allowed = tunable(str(info.field_name))
        for name, values in (grid or {}).items():
            if name not in allowed:
                raise unknown_key(name, list(allowed), f"parameter of {info.field_name}")
            try:
                for value in values:
                    allowed[name].typeConverter(value)
            except TypeError as error:
                hint = "; YAML reads a number without a dot in the exponent as text, write 1.0e-8"
                raise ValueError(f"{name}: {error}{hint if isinstance(value, str) else ''}") from error
        return grid

    @model_validator(mode="after")
    def _names_one_algorithm(self) -> Self:
        named = [name for name in ALGORITHMS if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                f"a candidate names exactly one of {', '.join(ALGORITHMS)}, found {', '.join(named) or 'none'}; "
                "write {} for an empty grid"
            )
        return self

    def points(self) -> Iterator[GridPoint]:
        """Every combination of the grid's values."""
        for algorithm in ALGORITHMS:
            grid: dict[str, Values] | None = getattr(self, algorithm)
            if grid is not None:
                yield from grid_points(algorithm, grid, self.on)


class ModelSpec(Declaration):
    """One binary classifier: the table it learns from, how it is validated, what competes and what decides."""

    model: str = Field(pattern=r"^\w+$", description="Name in the registry")
    description: str = Field(description="What the model answers, for people")
    owner: str = Field(description="Team that answers for the model")
    table: TableName = Field(description="Table with one row per key: schema.table")
    key: ColumnName = Field(description="Column that identifies a row: unique and not NULL")
    label: Label = Field(description="What is predicted")
    split: Split = Field(description="How the test rows are held out")
    folds: Folds = Field(description="How candidates are cross-validated")
    features: Features = Field(description="What the model looks at")
    candidates: tuple[Candidate, ...] = Field(min_length=1, description="Algorithms that compete, each with a grid")
    select_by: Metric = Field("area_under_roc", description="Mean over the folds that decides the champion")
    scores: TableName = Field(description="Table that scoring writes: schema.table")

    @model_validator(mode="after")
    def _keeps_answers_out_of_features(self) -> Self:
        leaked = [column for column in (self.key, self.label.column) if column in self.features.columns]
        if leaked:
            raise ValueError(f"{', '.join(leaked)} cannot be a feature: it identifies the row or is the answer")
        if self.features.pca is None and any(candidate.on == "pca" for candidate in self.candidates):
            raise ValueError("a candidate says `on: pca` but features.pca is not declared; add pca: {components: …}")
        return self

    def points(self) -> tuple[GridPoint, ...]:
        """Everything that competes: each candidate's grid spelled out, in the declared order."""
        return tuple(point for candidate in self.candidates for point in candidate.points())
