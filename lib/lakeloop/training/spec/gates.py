"""What a version must show before it may answer, as a model file says it."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.training.metrics.names import Metric


class BesideChampion(Declaration):
    """The gain over the champion by `select_by`, on the same held-out rows."""

    by: float = Field(
        0.0,
        allow_inf_nan=False,
        description="The gain, in units of the metric, is above this with confidence; -0.01 lets a version pass that "
        "is worse by less than 0.01",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the one-sided bootstrap interval of the gain")


class AlikeSlices(Declaration):
    """How far apart the values of one metric may be between the slices of one column."""

    metric: Metric = Field(description="Metric that is compared, such as recall")
    largest_gap: float = Field(gt=0, allow_inf_nan=False, description="Largest minus smallest value of one column")
    fewest_rows: int = Field(50, ge=1, description="Slices of fewer held-out rows say too little and are left out")


class Gates(Declaration):
    """Conditions of a promotion. That the scorer says what Spark says is one always."""

    champion: BesideChampion = Field(
        BesideChampion.model_validate({}), description="Better than the champion on the same held-out rows"
    )
    incidents: bool = Field(True, description="No error is open in a pipeline that the table was made by")
    microseconds_per_row: float = Field(1000.0, gt=0, description="Median time of the scorer for one row, at most")
    slices: AlikeSlices | None = Field(None, description="No slice of the held-out rows is treated much worse")
