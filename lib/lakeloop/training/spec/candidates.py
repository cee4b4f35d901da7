"""What competes, as a model file says it: algorithms with the values that their parameters may take."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator
from pyspark.ml.param import Param, TypeConverters

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import ALGORITHMS, NAMES, GridPoint, Space, combinations, takes_weights, tunable
from lakeloop.training.estimators.balanced import Balance
from lakeloop.training.estimators.log_label import Learn
from lakeloop.training.estimators.xgboost import Xgboost
from lakeloop.training.metrics.names import Task
from lakeloop.training.spec.search import Range

Value = bool | int | float | str | tuple[int, ...]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]
BAYES = ("gaussian", "multinomial", "complement", "bernoulli")


def _shape(value: Any) -> str:
    return "range" if isinstance(value, Mapping | Range) else "values"


Choices = Annotated[Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")], Discriminator(_shape)]


def _grid(algorithm: str, text: str) -> Any:
    tasks = [task for task in ALGORITHMS if algorithm in ALGORITHMS[task]]
    names: Any = {"propertyNames": {"enum": sorted(set().union(*(tunable(algorithm, task) for task in tasks)))}}
    description = f"{text}: values to try, or a range to search, by Spark parameter name"
    return Field(None, description=description, json_schema_extra=names)


class Candidate(Declaration):
    """One algorithm with its parameter grid, and the features it is fitted on."""

    logistic_regression: dict[str, Choices] | None = _grid("logistic_regression", "Logistic regression")
    linear_regression: dict[str, Choices] | None = _grid("linear_regression", "Linear regression, of a number")
    generalized_linear_regression: dict[str, Choices] | None = _grid(
        "generalized_linear_regression", "Generalized linear regression, of a number"
    )
    decision_tree: dict[str, Choices] | None = _grid("decision_tree", "Decision tree")
    random_forest: dict[str, Choices] | None = _grid("random_forest", "Random forest")
    gradient_boosted_trees: dict[str, Choices] | None = _grid("gradient_boosted_trees", "Gradient-boosted trees")
    boosted_forests: dict[str, Choices] | None = _grid(
        "boosted_forests", "Boosting of a number from its mean, `maxIter` forests of `numTrees` trees"
    )
    linear_svm: dict[str, Choices] | None = _grid(
        "linear_svm", "Linear support vector machine, with decision.calibrate"
    )
    naive_bayes: dict[str, Choices] | None = _grid("naive_bayes", "Naive Bayes, Gaussian if modelType is not said")
    multilayer_perceptron: dict[str, Choices] | None = _grid(
        "multilayer_perceptron", "Multilayer perceptron, `hidden` being lists of the units in each hidden layer"
    )
    xgboost: dict[str, Choices] | None = _grid("xgboost", "XGBoost, an extra (lakeloop[xgboost])")
    on: Space = Field("features", description="The scaled features, or their principal components")
    balance: Balance | None = Field(
        None,
        description="Few positive rows: weights counts each class alike, oversample repeats rows of the smaller one, "
        "undersample leaves out rows of the larger one; rows to train with only",
    )
    learn: Learn | None = Field(
        None,
        description="log: it learns the logarithm of a number above 0, and answers in the unit of the number",
    )

    @field_validator(*NAMES)
    @classmethod
    def _has_valid_params(cls, grid: dict[str, Choices] | None, info: ValidationInfo) -> dict[str, Choices] | None:
        algorithm = str(info.field_name)
        allowed = {
            name: p
            for task in ALGORITHMS
            if algorithm in ALGORITHMS[task]
            for name, p in tunable(algorithm, task).items()
        }
        known: dict[str, Choices] = dict(grid or {})
        for name, values in known.items():
            if name not in allowed:
                raise unknown_key(name, list(allowed), f"parameter of {info.field_name}")
            if isinstance(values, Range):
                known[name] = _suited(name, values, allowed[name])
                continue
            try:
                for value in values:
                    allowed[name].typeConverter(list(value) if isinstance(value, tuple) else value)
            except TypeError as error:
                hint = "; YAML reads a number without a dot in the exponent as text, write 1.0e-8"
                raise ValueError(f"{name}: {error}{hint if isinstance(value, str) else ''}") from error
        unknown = [kind for kind in _values(known, "modelType") if algorithm == "naive_bayes" and kind not in BAYES]
        if unknown:
            raise unknown_key(str(unknown[0]), list(BAYES), "modelType of naive_bayes")
        if algorithm == "multilayer_perceptron" and grid is not None:
            _check_hidden(known)
        if algorithm == "xgboost" and grid is not None:
            try:
                Xgboost.require()
            except TrainingError as error:
                raise ValueError(str(error)) from error
        return None if grid is None else known

    @model_validator(mode="after")
    def _names_one_algorithm(self) -> Self:
        named = [name for name in NAMES if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                f"a candidate names exactly one of {', '.join(NAMES)}, found {', '.join(named) or 'none'}; "
                "write {} for an empty grid"
            )
        return self

    @model_validator(mode="after")
    def _can_be_weighted(self) -> Self:
        of = [task for task in ALGORITHMS if self.algorithm in ALGORITHMS[task]]
        if self.balance == "weights" and not any(takes_weights(self.algorithm, task) for task in of):
            raise ValueError(f"{self.algorithm} takes no weights; say balance: oversample or undersample")
        return self

    @property
    def algorithm(self) -> str:
        """The one that it names."""
        return next(name for name in NAMES if getattr(self, name) is not None)

    @property
    def choices(self) -> dict[str, Choices]:
        """The values or the range of each parameter that it names."""
        found: dict[str, Choices] = getattr(self, self.algorithm)
        return found

    @property
    def ranges(self) -> tuple[str, ...]:
        """The parameters that have a range, which only a search can draw from."""
        return tuple(name for name, values in self.choices.items() if isinstance(values, Range))

    @property
    def kinds_of_bayes(self) -> tuple[Value, ...]:
        """The kinds of naive Bayes that it tries besides the Gaussian one."""
        kinds = _values(self.choices, "modelType") if self.algorithm == "naive_bayes" else ()
        return tuple(kind for kind in kinds if kind != "gaussian")

    def points(self, task: Task) -> Iterator[GridPoint]:
        """Every combination of the grid's values; no parameter may have a range."""
        for params in combinations(getattr(self, self.algorithm)):
            yield self.point(params, task)

    def point(self, params: Mapping[str, Any], task: Task) -> GridPoint:
        """What competes with one value per parameter."""
        return GridPoint(self.algorithm, params, self.on, task, self.balance, self.learn)


def _suited(name: str, limits: Range, param: Param[Any]) -> Range:
    """The range with limits of the parameter's own type, so that 0 to 1 of a real number are no whole numbers."""
    if param.typeConverter is TypeConverters.toFloat:
        return Range(low=float(limits.low), high=float(limits.high), log=limits.log)
    if param.typeConverter is not TypeConverters.toInt:
        raise ValueError(f"{name} is no number, so it has no range; list its values")
    if not limits.is_whole:
        raise ValueError(f"{name} is a whole number, found a range from {limits.low} to {limits.high}")
    return limits


def _values(grid: Mapping[str, Choices], name: str) -> Values:
    values = grid.get(name, ())
    return () if isinstance(values, Range) else values


def _check_hidden(grid: Mapping[str, Choices]) -> None:
    if "hidden" not in grid:
        raise ValueError("say the units of each hidden layer, such as `hidden: [[8, 4]]`, or `hidden: [[]]` for none")
    if not all(isinstance(units, int) and units > 0 for layers in _values(grid, "hidden") for units in _listed(layers)):
        raise ValueError("hidden: a layer has one unit at least")


def _listed(layers: Value) -> tuple[Any, ...]:
    return layers if isinstance(layers, tuple) else (layers,)
