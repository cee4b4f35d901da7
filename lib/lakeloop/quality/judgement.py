"""The verdict: findings of any origin become one verdict and a list of reasons per row, in one pass."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Severity = Literal["error", "warn", "drop", "fail"]
COUNTED = "counted"  # in place of a severity: what is declared to be no defect and is told all the same

VERDICTS = GOOD, QUARANTINED, DROPPED = "good", "quarantined", "dropped"
VERDICT, REASONS, FAILED = "_verdict", "_reasons", "_failed"
REASON_TYPE = "array<struct<rule:string,message:string>>"
BITS = 62


@dataclass(frozen=True)
class Finding:
    """A possible defect of a row: `violation` is the message where it has it and NULL where not.

    `error` and `fail` quarantine the row, `drop` drops one that nothing quarantines, `warn` only marks it. A `blocking`
    finding silences later ones that look at its `columns` (all of them when it has none), so that one defect gives one
    reason.
    """

    name: str
    violation: Column
    severity: Severity = "error"
    columns: tuple[str, ...] = ()
    blocking: bool = False


def judge(
    frame: DataFrame,
    findings: Sequence[Finding],
    *,
    dropped: Column | None = None,
    because: Column | None = None,
    unwanted: Column | None = None,
    of_bad: Sequence[str] = (),
) -> DataFrame:
    """Add `_verdict` (good, quarantined, dropped), `_reasons` (rule and message) and `_failed_0` on: bits by finding.

    Rows marked by `dropped` are dropped for the reason `because` (see `reason`), and judged no further. A good row that
    `unwanted` gives a reason for is dropped, too. The columns `of_bad` become NULL in good rows. A column of bits holds
    62 findings; the messages are built only for rows that have a bit set.
    """
    is_dropped = F.coalesce(dropped, F.lit(False)) if dropped is not None else F.lit(False)
    violations = [_unblocked(finding, findings[:index]) for index, finding in enumerate(findings)]
    starts = range(0, max(len(violations), 1), BITS)
    words = {f"{FAILED}_{number}": _word(violations[at : at + BITS]) for number, at in enumerate(starts)}
    nothing = F.lit(0).cast("long")
    frame = frame.withColumns({
        name: F.when(is_dropped, nothing).otherwise(word) if dropped is not None else word
        for name, word in words.items()
    })  # fmt: skip
    bad, unwelcome = _has_any(findings, ("error", "fail")), _has_any(findings, ("drop",))
    any_bit = _any(F.col(name) != 0 for name in words)
    why = reason("dedupe", F.lit("another row of this key was kept")) if because is None else because
    verdict = F.when(is_dropped, DROPPED).when(bad, QUARANTINED).when(unwelcome, DROPPED)
    is_kept = is_dropped | bad | unwelcome
    if unwanted is not None:
        verdict, is_kept = verdict.when(unwanted.isNotNull(), DROPPED), is_kept | unwanted.isNotNull()
        why = F.when(is_dropped, why).otherwise(unwanted)
    verdict = verdict.otherwise(GOOD)
    gone = F.array(why).cast(REASON_TYPE)
    is_gone = (F.col(VERDICT) == DROPPED) & ~unwelcome  # what a rule drops has the rule's message
    messages = F.when(is_gone, gone).when(any_bit, _reasons(findings))
    cleared = {name: F.when(is_kept, F.col(name)) for name in of_bad}
    # Messages are made of the verdict, so that Spark leaves them to the projection that its user selects last.
    return frame.withColumns({VERDICT: verdict, **cleared}).withColumn(REASONS, messages)


def has_failed(index: int) -> Column:
    """Whether the finding at this index was violated, from its bit."""
    word, bit = divmod(index, BITS)
    return F.col(f"{FAILED}_{word}").bitwiseAND(F.lit(1 << bit)) != 0


def bits_of(judged: DataFrame) -> list[str]:
    """The columns of bits."""
    return [name for name in judged.columns if name.startswith(f"{FAILED}_")]


def reason(rule: str, message: Column) -> Column:
    """One reason as `_reasons` has them."""
    return F.struct(F.lit(rule).alias("rule"), message.alias("message"))


def _reasons(findings: Sequence[Finding]) -> Column:
    """The reasons of the findings whose bit is set.

    Spark interprets what is below a lambda and compiles a projection that has one by itself: the first reason goes
    through one, so that the messages of the others are compiled, and not into the method that judges, which would
    become too long for Java to compile.
    """
    told = [F.when(has_failed(at), reason(each.name, each.violation)) for at, each in enumerate(findings[:1])]
    none = F.array().cast(REASON_TYPE)
    arrays = [
        F.when(has_failed(at), F.array(reason(each.name, each.violation))).otherwise(none)
        for at, each in enumerate(findings[1:], 1)
    ]
    return F.concat(F.array_compact(F.array(*told)) if told else none, none, *arrays)


def split(judged: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The good rows without the verdict's columns, and the quarantined ones with their reasons."""
    judged = judged.drop(*bits_of(judged))
    return judged.where(F.col(VERDICT) == GOOD).drop(VERDICT, REASONS), judged.where(
        F.col(VERDICT) == QUARANTINED
    ).drop(VERDICT)


def _has_any(findings: Sequence[Finding], severities: Sequence[Severity]) -> Column:
    """Whether a finding of one of these severities was violated."""
    masks: dict[str, int] = {}
    for index, finding in enumerate(findings):
        word, bit = divmod(index, BITS)
        masks[f"{FAILED}_{word}"] = masks.get(f"{FAILED}_{word}", 0) | (finding.severity in severities) << bit
    return _any(F.col(name).bitwiseAND(F.lit(mask)) != 0 for name, mask in masks.items() if mask)


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(operator.or_, conditions, F.lit(False))


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
