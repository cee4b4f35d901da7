"""What a user may write under `watch_over`: which numbers of each batch are learned and held against their past."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldName
from lakeloop.quality.anomalies import LEAST


class Memory(Declaration):
    """How much of the past is kept: the newest batches, and of them none older than `days`."""

    days: int = Field(default=90, ge=1, le=3660)
    batches: int = Field(default=500, ge=LEAST, le=5000)


class WatchOver(Declaration):
    """Rows, the share quarantined, the time between batches and the share of NULL per column; and what is named here.

    `{}` takes only what costs no reading.
    """

    means: tuple[FieldName, ...] = Field(default=(), description="Number columns whose mean is learned")
    shares: tuple[FieldName, ...] = Field(
        default=(), description="Columns of few different values, whose shares are learned"
    )
    learn: int = Field(default=LEAST, ge=7, description="Batches before anything is judged")
    remember: Memory = Memory()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*self.means, *self.shares)
