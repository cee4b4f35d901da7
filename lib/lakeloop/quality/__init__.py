"""Quality: rules become one verdict per row, with reasons, and one per table, with numbers.

Enters: a DataFrame and declared rules. Leaves: the same rows, each good, quarantined or dropped, and why.
May import `core` and `lake`. Usable alone on any DataFrame:

    from lakeloop.quality import Rule, check_rules, judge_rules, split
    rules = [Rule.model_validate({"is_not_null": "customer_id"}), Rule.model_validate({"row_count": {"min": 1}})]
    good, bad = split(judge_rules(frame, rules))
    print(check_rules(frame, rules).violated)
"""

from lakeloop.lake.rule_results import RuleResult
from lakeloop.quality.checks import Checked, assert_rules_hold, check_rules
from lakeloop.quality.judgement import COUNTED, Finding, Severity, judge, split
from lakeloop.quality.rule import Rule
from lakeloop.quality.rule_set import Compiled, Rules, compile_rules, judge_rules, measures_of, rules_version

__all__ = [
    "COUNTED",
    "Checked",
    "Compiled",
    "Finding",
    "Rule",
    "RuleResult",
    "Rules",
    "Severity",
    "assert_rules_hold",
    "check_rules",
    "compile_rules",
    "judge",
    "judge_rules",
    "measures_of",
    "rules_version",
    "split",
]
