"""The verdict: findings of any origin become one verdict and a list of reasons per row, in one pass."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Severity = Literal["error", "warn", "fail"]

GOOD, QUARANTINED, DROPPED = "good", "quarantined", "dropped"
VERDICT, REASONS, FAILED = "_verdict", "_reasons", "_failed"
REASON_TYPE = "array<struct<rule:string,message:string>>"
BITS = 62


@dataclass(frozen=True)
class Finding:
    """A possible defect of a row: `violation` is the message where it has it and NULL where not.

    `error` and `fail` quarantine the row, `warn` only marks it. A `blocking` finding silences later ones that look at
    its `columns` (all of them when it has none), so that one defect gives one reason.
    """

    name: str
    violation: Column
    severity: Severity = "error"
    columns: tuple[str, ...] = ()
    blocking: bool = False


def judge(
    frame: DataFrame, findings: Sequence[Finding], *, dropped: Column | None = None, because: Column | None = None
) -> DataFrame:
    """Add `_verdict` (good, quarantined, dropped), `_reasons` (rule and message) and `_failed` (bits by finding).

    Rows marked by `dropped` are dropped with the reason `dedupe` and the message `because`, and judged no further.
    `_failed` is an array of words of 62 bits; the messages are built only for rows that have a bit set.
    """
    is_dropped = F.coalesce(dropped, F.lit(False)) if dropped is not None else F.lit(False)
    violations = [_unblocked(finding, findings[:index]) for index, finding in enumerate(findings)]
    words = [_word(violations[start : start + BITS]) for start in range(0, max(len(violations), 1), BITS)]
    frame = frame.withColumn(
        FAILED, F.when(is_dropped, F.array(*[F.lit(0).cast("long")] * len(words))).otherwise(F.array(*words))
    )
    severe = [index for index, finding in enumerate(findings) if finding.severity != "warn"]
    bad = reduce(operator.or_, (has_failed(index) for index in severe), F.lit(False))
    any_bit = reduce(operator.or_, (F.col(FAILED)[index] != 0 for index in range(len(words))))
    texts = [
        F.when(has_failed(index), F.struct(F.lit(finding.name).alias("rule"), finding.violation.alias("message")))
        for index, finding in enumerate(findings)
    ]
    reasons = F.array_compact(F.array(*texts)) if texts else F.array()
    twice = F.array(
        F.struct(
            F.lit("dedupe").alias("rule"),
            (F.lit("another row of this key was kept") if because is None else because).alias("message"),
        )
    )
    return frame.withColumn(VERDICT, F.when(is_dropped, DROPPED).when(bad, QUARANTINED).otherwise(GOOD)).withColumn(
        REASONS, F.when(is_dropped, twice.cast(REASON_TYPE)).when(any_bit, reasons.cast(REASON_TYPE))
    )


def has_failed(index: int) -> Column:
    """Whether the finding at this index was violated, from `_failed`."""
    word, bit = divmod(index, BITS)
    return F.col(FAILED)[word].bitwiseAND(F.lit(1 << bit)) != 0


def split(judged: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The good rows without the verdict's columns, and the quarantined ones with their reasons."""
    good = judged.where(F.col(VERDICT) == GOOD).drop(VERDICT, REASONS, FAILED)
    return good, judged.where(F.col(VERDICT) == QUARANTINED).drop(VERDICT, FAILED)


def _unblocked(finding: Finding, earlier: Sequence[Finding]) -> Column:
    violated = finding.violation.isNotNull()
    for other in earlier:
        if other.blocking and (not other.columns or set(other.columns) & set(finding.columns)):
            violated = violated & other.violation.isNull()
    return violated


def _word(violations: Sequence[Column]) -> Column:
    bits = (
        F.when(violated, F.lit(1 << bit).cast("long")).otherwise(F.lit(0).cast("long"))
        for bit, violated in enumerate(violations)
    )
    return reduce(Column.bitwiseOR, bits, F.lit(0).cast("long"))
