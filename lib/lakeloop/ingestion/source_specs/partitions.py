"""Parts of what an API holds that are fetched side by side: by the values of a parameter, or by ranges of days."""

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Duration

RANGE_KEYS = ("param_from", "param_to", "start", "step")


def _moment(value: Any) -> Any:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - its zone follows
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        raise ValueError("a day or a moment as ISO 8601, as 2026-01-01")
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


Moment = Annotated[dt.datetime, BeforeValidator(_moment, json_schema_input_type=str)]


class Partitions(Declaration):
    """`{param, values}`, or `{param_from, param_to, from, step}`: half-open ranges of time, each read once it is over.

    They are fetched by Spark's executors, at most `parallel` at a time; the connection's rate limit holds over all.
    """

    param: str | None = None
    values: tuple[str, ...] = ()
    param_from: str | None = None
    param_to: str | None = None
    start: Moment | None = Field(default=None, alias="from", description="Beginning of the first range, UTC")
    step: Duration | None = Field(default=None, description="Length of a range")
    settle: Duration | None = Field(default=None, description="How long after its end a range is read")
    parallel: int = Field(default=4, ge=1, le=200)
    ranges_per_batch: int = Field(default=1_000, gt=0)

    @model_validator(mode="after")
    def _values_or_ranges(self) -> Self:
        of_values = self.param is not None and bool(self.values)
        given = [name for name in RANGE_KEYS if getattr(self, name) is not None]
        if of_values == bool(given) or (given and len(given) < len(RANGE_KEYS)) or (given and self.param is not None):
            said = "partitions are either {param, values} or {param_from, param_to, from, step}"
            raise PydanticCustomError("partitions", "{text}", {"text": said})
        if len(set(self.values)) < len(self.values):
            raise PydanticCustomError("partitions", "a value of the partitions stands twice; keep one")
        return self

    def ranges(self, after: dt.datetime | None, present: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """The ranges that begin at or behind `after` and are over, oldest first, at most so many as a batch takes."""
        assert self.start is not None
        assert self.step is not None
        begin, until = max(self.start, after or self.start), present - (self.settle or dt.timedelta(0))
        for _ in range(self.ranges_per_batch):
            if begin + self.step > until:
                return
            yield begin, begin + self.step
            begin += self.step
