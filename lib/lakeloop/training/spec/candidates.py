"""What competes, as a model file says it: algorithms with the values that their parameters may take."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import ALGORITHMS, NAMES, GridPoint, Space, grid_points, takes_weights, tunable
from lakeloop.training.estimators.balanced import Balance
from lakeloop.training.estimators.xgboost import Xgboost
from lakeloop.training.metrics.names import Task

Value = bool | int | float | str | tuple[int, ...]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]


def _grid(algorithm: str, text: str) -> Any:
    tasks = [task for task in ALGORITHMS if algorithm in ALGORITHMS[task]]
    names: Any = {"propertyNames": {"enum": sorted(set().union(*(tunable(algorithm, task) for task in tasks)))}}
    return Field(None, description=f"{text}: values to try by Spark parameter name", json_schema_extra=names)


class Candidate(Declaration):
    """One algorithm with its parameter grid, and the features it is fitted on."""

    logistic_regression: dict[str, Values] | None = _grid("logistic_regression", "Logistic regression")
    linear_regression: dict[str, Values] | None = _grid("linear_regression", "Linear regression, of a number")
    generalized_linear_regression: dict[str, Values] | None = _grid(
        "generalized_linear_regression", "Generalized linear regression, of a number"
    )
    linear_svm: dict[str, Values] | None = _grid("linear_svm", "Linear support vector machine, with decision.calibrate")
    naive_bayes: dict[str, Values] | None = _grid("naive_bayes", "Naive Bayes, Gaussian")
    multilayer_perceptron: dict[str, Values] | None = _grid(
        "multilayer_perceptron", "Multilayer perceptron, `hidden` being lists of the units in each hidden layer"
    )
    decision_tree: dict[str, Values] | None = _grid("decision_tree", "Decision tree")
    random_forest: dict[str, Values] | None = _grid("random_forest", "Random forest")
    gradient_boosted_trees: dict[str, Values] | None = _grid("gradient_boosted_trees", "Gradient-boosted trees")
    xgboost: dict[str, Values] | None = _grid("xgboost", "XGBoost, an extra (lakeloop[xgboost])")
    on: Space = Field("features", description="The scaled features, or their principal components")
    balance: Balance | None = Field(
        None,
        description="Few positive rows: weights counts each class alike, oversample repeats rows of the smaller one, "
        "undersample leaves out rows of the larger one; rows to train with only",
    )

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
                    allowed[name].typeConverter(list(value) if isinstance(value, tuple) else value)
            except TypeError as error:
                hint = "; YAML reads a number without a dot in the exponent as text, write 1.0e-8"
                raise ValueError(f"{name}: {error}{hint if isinstance(value, str) else ''}") from error
        if algorithm == "naive_bayes" and (
            kinds := [kind for kind in (grid or {}).get("modelType", ()) if kind != "gaussian"]
        ):
            raise ValueError(
                f"modelType {', '.join(map(str, kinds))} wants counts or 0 and 1, and scaled features are neither; "
                "naive_bayes is gaussian here: take modelType out"
            )
        if algorithm == "multilayer_perceptron" and grid is not None:
            _check_hidden(grid)
        if algorithm == "xgboost" and grid is not None:
            try:
                Xgboost.require()
            except TrainingError as error:
                raise ValueError(str(error)) from error
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

    def points(self, task: Task) -> Iterator[GridPoint]:
        """Every combination of the grid's values."""
        yield from grid_points(self.algorithm, getattr(self, self.algorithm), self.on, task, self.balance)


def _check_hidden(grid: dict[str, Values]) -> None:
    if "hidden" not in grid:
        raise ValueError("say the units of each hidden layer, such as `hidden: [[8, 4]]`, or `hidden: [[]]` for none")
    if not all(isinstance(units, int) and units > 0 for layers in grid["hidden"] for units in _listed(layers)):
        raise ValueError("hidden: a layer has one unit at least")


def _listed(layers: Value) -> tuple[Any, ...]:
    return layers if isinstance(layers, tuple) else (layers,)
