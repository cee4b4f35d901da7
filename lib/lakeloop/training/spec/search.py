"""How candidates are looked for, as a model file says it."""

from typing import Literal, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

from lakeloop.core.documents import Declaration

SearchKind = Literal["grid", "random", "bayesian"]
Selection = Literal["best", "one_standard_error"]
TRIALS = 30


class Range(Declaration):
    """All values from `low` to `high`, both included, of which a search draws some; whole numbers by whole limits."""

    low: StrictInt | StrictFloat = Field(description="The least value")
    high: StrictInt | StrictFloat = Field(description="The greatest value")
    log: bool = Field(False, description="Draw evenly over orders of magnitude: as many from 0.001 to 0.01 as to 0.1")

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers only are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if not self.low < self.high < float("inf"):
            raise ValueError(f"a range goes up, found low {self.low} and high {self.high}; list a single value instead")
        if self.log and self.low <= 0:
            raise ValueError(f"a range with log: true begins above 0, found low {self.low}")
        return self


class Search(Declaration):
    """Which values of the candidates' parameters are tried, and for how long."""

    kind: SearchKind = Field(
        "grid",
        description="grid: every combination of the listed values; random: `trials` drawn from lists and ranges; "
        "bayesian: `trials`, each proposed from how those before did (optuna's TPE, needs the extra `tuning`)",
    )
    trials: int | None = Field(None, ge=1, le=10_000, description=f"How many are tried at most: {TRIALS} if not said")
    seed: int = Field(0, ge=0, lt=2**32, description="Decides what is drawn")
    halving: bool = Field(False, description="After 1, 2, 4, 8 … folds the worse half of those still tried is given up")

    @property
    def most_trials(self) -> int:
        """How many candidates a random or bayesian search tries at most."""
        return TRIALS if self.trials is None else self.trials

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.kind == "grid" and self.trials is not None:
            raise ValueError("a grid tries every combination; take trials out or say kind: random or bayesian")
        if self.kind == "bayesian" and self.halving:
            raise ValueError(
                "halving is for grid and random: a bayesian search learns from each trial's mean over all folds"
            )
        return self
