"""How scores become an answer, as a model file says it."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.training.metrics.score_table import CELLS

Calibration = Literal["isotonic", "platt"]
Choice = Literal["by_cost", "best_f1"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


class Costs(Declaration):
    """What a wrong answer costs, in any one unit."""

    false_positive: float = Field(ge=0, allow_inf_nan=False, description="Cost of calling a negative row positive")
    false_negative: float = Field(ge=0, allow_inf_nan=False, description="Cost of missing a positive row")

    @model_validator(mode="after")
    def _costs_something(self) -> Self:
        if not self.false_positive + self.false_negative:
            raise ValueError("one kind of error costs something at least; both costs are 0")
        return self


class Decision(Declaration):
    """From the winner's scores to probabilities, and from these to a yes or no; fitted out of fold."""

    calibrate: Calibration | None = Field(
        None, description="isotonic: any rising curve, for a thousand positive rows or more; platt: a sigmoid"
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | Choice = Field(
        0.5, description="Scores above it are positive: a number, by_cost (least cost) or best_f1, out of fold"
    )
    costs: Costs | None = Field(None, description="What errors cost; the metric `cost` is their mean per row")

    @property
    def is_fitted(self) -> bool:
        """Whether anything of it is learned from scores, rather than declared."""
        return self.calibrate is not None or isinstance(self.threshold, str)

    @field_validator("threshold", mode="before")
    @classmethod
    def _is_a_threshold(cls, threshold: Any) -> Any:
        is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not (0 < threshold < 1 if is_number else threshold in CHOICES):
            raise ValueError(f"a threshold is a number between 0 and 1, {' or '.join(CHOICES)}")
        if is_number and abs(threshold * CELLS - round(threshold * CELLS)) > 1e-6:
            raise ValueError("a threshold has four decimals at most")
        return threshold

    @model_validator(mode="after")
    def _knows_its_costs(self) -> Self:
        if self.threshold == "by_cost" and self.costs is None:
            raise ValueError("threshold by_cost needs costs: {false_positive: …, false_negative: …}")
        return self


class MetricTerms(Declaration):
    """What metrics of two classes depend on besides the scores."""

    beta: float = Field(2.0, gt=0, allow_inf_nan=False, description="f_beta: recall counts this many times precision")
    top: float = Field(0.1, gt=0, lt=1, description="lift: share of the rows, those with the highest scores")
