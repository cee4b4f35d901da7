"""Profiling: what a table holds, in one pass over it, and the rules that this suggests.

Enters: any DataFrame. Leaves: a profile with the error of what is approximate, candidates for relations between
columns, and proposals for somebody to review. Usable alone:

    from lakeloop.quality.profiling import find_relations, profile_frame, propose_rules, rules_yaml
    profile = profile_frame(frame)
    print(rules_yaml("my frame", profile, propose_rules(profile, find_relations(profile))))

On a cluster the executors run the summaries in Python, so they need this package as well.
"""

from lakeloop.quality.profiling.one_pass import plan_of
from lakeloop.quality.profiling.proposal import Proposal
from lakeloop.quality.profiling.proposals import judge_proposals, propose_rules
from lakeloop.quality.profiling.relations import Relations, find_relations
from lakeloop.quality.profiling.remarks import remarks_on
from lakeloop.quality.profiling.rules_yaml import rules_yaml
from lakeloop.quality.profiling.table_profile import ColumnProfile, TableProfile, profile_frame

__all__ = [
    "ColumnProfile",
    "Proposal",
    "Relations",
    "TableProfile",
    "find_relations",
    "judge_proposals",
    "plan_of",
    "profile_frame",
    "propose_rules",
    "remarks_on",
    "rules_yaml",
]
