"""Which slots of the feature vector are kept, as a model file says it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from lakeloop.core.documents import ONE_KEY, Declaration

Share = Annotated[float, Field(gt=0, lt=1)]


class Univariate(Declaration):
    """How many slots a test of each against the label keeps, if not a number of them."""

    model_config = ONE_KEY

    percentile: Share | None = Field(None, description="This share of the slots, those with the least p-values")
    fpr: Share | None = Field(None, description="All with a p-value below this")
    fdr: Share | None = Field(None, description="All that keep the rate of false discoveries below this")
    fwe: Share | None = Field(None, description="All that keep the chance of a single false discovery below this")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        _require_one(self, "univariate")
        return self

    @property
    def mode(self) -> str:
        """The key that is declared."""
        return declared_key(self)


class Selection(Declaration):
    """One selection; those of a list are applied in its order, each to what the one before it left."""

    model_config = ONE_KEY

    variance: float | None = Field(None, ge=0, description="Keep slots whose variance is larger than this")
    univariate: Annotated[int, Field(ge=1)] | Univariate | None = Field(
        None, description="Keep the so many slots that an F test of each alone finds most related to the label"
    )
    correlation: float | None = Field(
        None, gt=0, lt=1, description="Of two slots whose |correlation| is larger than this, drop the later one"
    )
    l1: float | None = Field(
        None, gt=0, description="Keep slots to which a linear model with this strength of L1 gives a coefficient"
    )
    importance: int | None = Field(None, ge=1, description="Keep the so many slots that a random forest uses most")

    @model_validator(mode="after")
    def _names_one_way(self) -> Self:
        _require_one(self, "a selection")
        return self

    @property
    def way(self) -> str:
        """The key that is declared."""
        return declared_key(self)


def declared_key(declaration: Declaration) -> str:
    """The one key of a declaration that has exactly one."""
    return next(name for name in type(declaration).model_fields if getattr(declaration, name) is not None)


def _require_one(declaration: Declaration, what: str) -> None:
    names = list(type(declaration).model_fields)
    found = [name for name in names if getattr(declaration, name) is not None]
    if len(found) != 1:
        raise ValueError(f"{what} says exactly one of {', '.join(names)}, found {', '.join(found) or 'none'}")
