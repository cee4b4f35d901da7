"""The rules that a profile suggests, and what its own rows say of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.quality import judge_rules
from lakeloop.quality.judgement import REASONS
from lakeloop.quality.profiling import confidence
from lakeloop.quality.profiling.column_proposals import propose_for
from lakeloop.quality.profiling.proposal import Proposal, known
from lakeloop.quality.profiling.relations import Relations
from lakeloop.quality.profiling.table_profile import TableProfile


def propose_rules(profile: TableProfile, relations: Relations) -> list[Proposal]:
    """The rules that a profile suggests with a confidence of at least 0.95, those of a column side by side.

    Only rules that this version can judge. Nothing is switched on: they are for somebody to review.
    """
    found = [proposal for column in profile.columns for proposal in propose_for(column)]
    found += _between_columns(profile, relations)
    return known(proposal for proposal in found if proposal.confidence >= confidence.LOWEST)


def judge_proposals(frame: DataFrame, proposals: Sequence[Proposal]) -> list[Proposal]:
    """The same proposals with the rows that violate each: the rules themselves judge the frame, in one pass."""
    rules = [each.rule.model_copy(update={"severity": "warn"}) for each in proposals if not each.is_counted]
    if not rules:
        return [replace(each, violations=0) for each in proposals]
    told = judge_rules(frame, rules).select(F.explode(F.col(f"{REASONS}.rule")).alias("rule"))
    counted = {row["rule"]: row["count"] for row in told.groupBy("rule").count().collect()}
    return [replace(each, violations=counted.get(each.rule.name, 0)) for each in proposals]


def _between_columns(profile: TableProfile, relations: Relations) -> Iterator[Proposal]:
    of_sample = f"of a sample of {relations.rows:,}" if profile.sampled < profile.rows else ""
    is_all = profile.sampled == profile.rows
    for key in relations.keys:
        yield Proposal(
            "is_unique",
            {"columns": list(key.columns)},
            confidence.never_violated(key.tested),
            f"no two rows {of_sample or f'of {key.tested:,}'} share these values",
            only_if_judged=not is_all,
        )
    for pair in relations.filled_together:
        evidence = f"NULL in the same rows {of_sample or f'of {pair.tested:,}'}"
        sure = confidence.never_violated(pair.tested)
        yield Proposal("are_all_or_none", {"columns": list(pair.columns)}, sure, evidence, only_if_judged=not is_all)
    for order in relations.orders:
        first, second = order.columns
        yield Proposal(
            "compares",
            {"column": first, "operator": "<=", "to": second, "severity": "warn"},
            confidence.never_violated(order.tested),
            f"so in {order.tested:,} rows {of_sample}".rstrip(),
            only_if_judged=not is_all,
        )
    for dependency in relations.dependencies:
        first, second = dependency.columns
        yield Proposal(
            "determines",
            {"columns": [first], "column": second, "severity": "warn"},
            confidence.never_violated(dependency.tested),
            f"rows that share {first} share {second}: {dependency.tested:,} of them {of_sample}".rstrip(),
            only_if_judged=not is_all,
        )
