"""What a model file says: `ModelSpec`, validated without Spark, its descriptions ending up in the JSON Schema."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.training.algorithms import ALGORITHMS, NAMES, GridPoint, Space, grid_points, tunable
from lakeloop.training.metric_names import METRICS, Metric, Task

# A dot or a backtick in a name would need quoting in every expression of Spark; the query that makes the table renames.
ColumnName = Annotated[str, StringConstraints(pattern=r"^[^.`]+$")]
TableName = Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")]
Values = Annotated[tuple[bool | int | float | str, ...], Field(min_length=1)]


def _grid(algorithm: str, text: str) -> Any:
    tasks = [task for task in ALGORITHMS if algorithm in ALGORITHMS[task]]
    names: Any = {"propertyNames": {"enum": sorted(set().union(*(tunable(algorithm, task) for task in tasks)))}}
    return Field(None, description=f"{text}: values to try by Spark parameter name", json_schema_extra=names)


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
    linear_regression: dict[str, Values] | None = _grid("linear_regression", "Linear regression, of a number")
    generalized_linear_regression: dict[str, Values] | None = _grid(
        "generalized_linear_regression", "Generalized linear regression, of a number"
    )
    decision_tree: dict[str, Values] | None = _grid("decision_tree", "Decision tree")
    random_forest: dict[str, Values] | None = _grid("random_forest", "Random forest")
    gradient_boosted_trees: dict[str, Values] | None = _grid("gradient_boosted_trees", "Gradient-boosted trees")
    on: Space = Field("features", description="The scaled features, or their principal components")

    @field_validator(*NAMES)
    @classmethod
    def _has_valid_params(cls, grid: dict[str, Values] | None, info: ValidationInfo) -> dict[str, Values] | None:
        algorithm = str(info.field_name)
        allowed = {
            name: p
            for task in ALGORITHMS
            if algorithm in ALGORITHMS[task]
            for name, p in tunable(algorithm, task).items()
        }
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
        named = [name for name in NAMES if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                f"a candidate names exactly one of {', '.join(NAMES)}, found {', '.join(named) or 'none'}; "
                "write {} for an empty grid"
            )
        return self

    @property
    def algorithm(self) -> str:
        """The one that it names."""
        return next(name for name in NAMES if getattr(self, name) is not None)

    def points(self, task: Task) -> Iterator[GridPoint]:
        """Every combination of the grid's values."""
        yield from grid_points(self.algorithm, getattr(self, self.algorithm), self.on, task)


class ModelSpec(Declaration):
    """One model: the table it learns from, how it is validated, what competes and what decides."""

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
    select_by: Metric = Field(
        default_factory=lambda given: METRICS[given["label"].task if "label" in given else "binary"][0],
        description="Metric whose mean over the folds decides: area_under_roc if nothing is said, r2 for a regression",
    )
    scores: TableName = Field(description="Table that scoring writes: schema.table")

    @model_validator(mode="after")
    def _keeps_answers_out_of_features(self) -> Self:
        leaked = [column for column in (self.key, self.label.column) if column in self.features.columns]
        if leaked:
            raise ValueError(f"{', '.join(leaked)} cannot be a feature: it identifies the row or is the answer")
        if self.features.pca is None and any(candidate.on == "pca" for candidate in self.candidates):
            raise ValueError("a candidate says `on: pca` but features.pca is not declared; add pca: {components: …}")
        return self

    @model_validator(mode="after")
    def _suits_its_task(self) -> Self:
        task = self.task
        for candidate in self.candidates:
            name = candidate.algorithm
            if name not in ALGORITHMS[task]:
                raise ValueError(f"{name} is not for task {task}; allowed are {', '.join(ALGORITHMS[task])}")
            for param in getattr(candidate, name):
                if param not in tunable(name, task):
                    raise unknown_key(param, list(tunable(name, task)), f"parameter of {name} for task {task}")
        if self.select_by not in METRICS[task]:
            raise ValueError(f"select_by {self.select_by} is not for task {task}; one of {', '.join(METRICS[task])}")
        if task == "regression" and "stratified" in (self.split.kind, self.folds.kind):
            raise ValueError("a number has no classes to stratify by; say kind: random")
        return self

    def stratifies(self, dealt: Split | Folds) -> bool:
        """Whether each class has its share, which is what happens to classes if nothing is said."""
        return dealt.kind == "stratified" or (dealt.kind is None and self.task == "binary")

    @property
    def task(self) -> Task:
        """What kind of answer the model gives."""
        return self.label.task

    def points(self) -> tuple[GridPoint, ...]:
        """Everything that competes: each candidate's grid spelled out, in the declared order."""
        return tuple(point for candidate in self.candidates for point in candidate.points(self.task))
