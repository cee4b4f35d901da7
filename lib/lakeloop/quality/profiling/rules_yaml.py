"""Proposed rules as YAML that can be pasted into a pipeline, with the evidence above each."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lakeloop.quality.profiling import confidence
from lakeloop.quality.profiling.proposal import Proposal
from lakeloop.quality.profiling.table_profile import TableProfile


def rules_yaml(name: str, profile: TableProfile, proposals: Sequence[Proposal]) -> str:
    """The parts `rules` and `columns` of a pipeline, and as comments what the rows do not hold.

    `name` says of which rows the profile is. Every rule names its confidence, see `confidence.py`.
    """
    holding = [each for each in proposals if each.holds]
    others = [each for each in proposals if not each.holds]
    lines = [
        f"# Proposed from {name}: {profile.rows:,} rows. Nothing here is switched on: review it,",
        "# then paste what is true of your data into a pipeline. `sure` is a lower bound, at 95%, of the share of",
        f"# later rows that hold the rule, if they come as these came. Below {confidence.LOWEST} nothing is proposed.",
        "rules:" if holding else "rules: []",
    ]
    for each in holding:
        lines += [f"  # {_said(each)}", f"  - {flow(each.declaration)}"]
    if others:
        lines += ["", "# What was suspected, and is not to be taken as it stands:"]
        for each in others:
            lines += [f"#   {_said(each)}", f"#   - {flow(each.declaration)}"]
    private = [column for column in profile.columns if column.likely_pii]
    if private:
        lines += ["", "columns:"]
        for column in private:
            share = column.formats[str(column.likely_pii)]
            lines.append(
                f"  {flow(column.name)}: {{tags: [pii]}}  # {share:.1%} of its values look like {column.likely_pii}"
            )
    return "\n".join(lines) + "\n"


def flow(value: Mapping[str, Any] | str) -> str:
    """A value as YAML on one line; a mapping of one key without its braces."""
    if isinstance(value, Mapping) and len(value) == 1:
        key, inner = next(iter(value.items()))
        return f"{key}: {_dumped(inner)}"
    return _dumped(value)


def _dumped(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _said(proposal: Proposal) -> str:
    judged = ""
    if proposal.violations:
        judged = f"; {proposal.violations:,} rows violate it"
    elif proposal.violations == 0:
        judged = "; judged: no row violates it"
    elif proposal.only_if_judged:
        judged = "; not judged yet"
    return f"sure {proposal.confidence:.4f}: {proposal.evidence}{judged}"
