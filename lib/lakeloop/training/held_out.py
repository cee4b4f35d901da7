"""The rows that were held out: measured once, and the fact recorded."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.core.run_record import now
from lakeloop.training.decision.rule import threshold_of
from lakeloop.training.metrics.measuring import Measurement, measured_test
from lakeloop.training.spec.model import ModelSpec


@dataclass(frozen=True)
class HeldOutRecord:
    """That `rows` held-out rows were measured on at `measured_at` (UTC), and which ones.

    `fingerprint` is of their keys, in whatever order they come: 32 hexadecimal digits, the same for the same set of
    keys. Models with one fingerprint were measured on the same rows; whoever compares many of them chooses by these.
    """

    rows: int
    fingerprint: str
    measured_at: dt.datetime

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "measured_at": self.measured_at.isoformat()}


class HeldOut:
    """Rows with `_label` that answer one question only: how good is this model?"""

    def __init__(self, spec: ModelSpec, rows: DataFrame) -> None:
        self._spec, self._rows = spec, rows
        self._is_spent = False

    def measure(self, model: PipelineModel) -> tuple[Measurement, HeldOutRecord]:
        """What the rows say of a model, and the record that they were asked.

        Raises TrainingError the second time.
        """
        if self._is_spent:
            raise TrainingError(
                f"model {self._spec.model}: the held-out rows have been measured on; a second look would choose by them"
            )
        self._is_spent = True
        fingerprint = fingerprint_of(self._rows, self._spec.key)
        tested = measured_test(self._spec, model.transform(self._rows), threshold_of(model))
        return tested, HeldOutRecord(tested.whole.rows, fingerprint, now())


def fingerprint_of(rows: DataFrame, key: str) -> str:
    """32 hexadecimal digits of the keys, whatever their order: the sums of two hashes of each, modulo 2^64.

    No one forges it by chance; somebody who wants to could, as xxHash64 is not made against that. A NULL counts too.
    """
    text = F.coalesce(F.col(key).cast("string"), F.lit(""))
    hashes = [F.xxhash64(F.lit(seed), F.col(key).isNull(), text).cast("decimal(20,0)") for seed in (1, 2)]
    sums = rows.agg(*(F.sum(hashed) for hashed in hashes)).collect()[0]
    return "".join(f"{int(total or 0) % 2**64:016x}" for total in sums)
