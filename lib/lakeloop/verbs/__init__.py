"""Verbs: what the `lakeloop` command, the jobs and Python callers have in common, one function each.

Enters: a `Project` and the names that somebody typed. Leaves: what was done, for people to be told. May import every
room below; knows nothing of terminals.
"""

from lakeloop.verbs.alerting import incidents, send_test
from lakeloop.verbs.lakes import Progress, open_lake
from lakeloop.verbs.models import Trained, score_table, train_model
from lakeloop.verbs.pipelines import RunSummary, in_order, run, validate
from lakeloop.verbs.reporting import report_run

__all__ = [
    "Progress",
    "RunSummary",
    "Trained",
    "in_order",
    "incidents",
    "open_lake",
    "report_run",
    "run",
    "score_table",
    "send_test",
    "train_model",
    "validate",
]
