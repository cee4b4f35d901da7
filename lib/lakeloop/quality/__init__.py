"""Quality: rules become one verdict per row, with reasons.

Enters: a DataFrame and declared rules. Leaves: the same rows, each good, quarantined or dropped, and why.
May import `core` and `lake`. Usable alone on any DataFrame:

    from lakeloop.quality import Rule, judge_rules, split
    good, bad = split(judge_rules(frame, [Rule.model_validate({"is_not_null": "customer_id"})]))
"""

from lakeloop.quality.judgement import COUNTED, Finding, Severity, judge, split
from lakeloop.quality.rule_set import Rule, findings_of, judge_rules, rules_version

__all__ = ["COUNTED", "Finding", "Rule", "Severity", "findings_of", "judge", "judge_rules", "rules_version", "split"]
