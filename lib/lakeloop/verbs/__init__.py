"""Verbs: what the `lakeloop` command, the jobs and Python callers have in common, one function each.

Enters: a `Project` and the names that somebody typed. Leaves: what was done, for people to be told. May import every
room below; knows nothing of terminals.
"""

from lakeloop.serving.policies import pii_warnings
from lakeloop.verbs.access import Query, query, serve_data
from lakeloop.verbs.lakes import Progress, open_lake
from lakeloop.verbs.models import Trained, score_table, train_model
from lakeloop.verbs.pipelines import RunSummary, in_order, run, validate
from lakeloop.verbs.retention import Retained, retain

__all__ = [
    "Progress",
    "Query",
    "Retained",
    "RunSummary",
    "Trained",
    "in_order",
    "open_lake",
    "pii_warnings",
    "query",
    "retain",
    "run",
    "score_table",
    "serve_data",
    "train_model",
    "validate",
]
