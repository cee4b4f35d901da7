"""Verbs: what the `lakeloop` command, the jobs and Python callers have in common, one function each.

Enters: a `Project` and the names that somebody typed. Leaves: what was done, for people to be told. May import every
room below; knows nothing of terminals.
"""

from lakeloop.catalog import load_catalog
from lakeloop.ingestion.sources.backfill import Asked
from lakeloop.serving.data.policies import pii_warnings
from lakeloop.verbs.access import Query, query, serve_data
from lakeloop.verbs.alerting import incidents, send_test
from lakeloop.verbs.backfilling import backfill
from lakeloop.verbs.champions import (
    Switched,
    champion_history,
    champions_at,
    promote_model,
    roll_back,
    withdraw_model,
)
from lakeloop.verbs.contracts import export_contract, import_contract
from lakeloop.verbs.explaining import Explained, explain_model
from lakeloop.verbs.json_schemas import json_schemas, write_json_schemas
from lakeloop.verbs.lakes import Progress, open_lake
from lakeloop.verbs.models import Trained, score_table, train_model
from lakeloop.verbs.pipelines import RunSummary, in_order, run
from lakeloop.verbs.profiling import Asked as ProfileAsked
from lakeloop.verbs.profiling import Profiled, profile
from lakeloop.verbs.quality import mark_batch, quality, report_quality
from lakeloop.verbs.quarantine import (
    OpenQuarantine,
    columns_of_rows,
    discard,
    history_of_pipeline,
    history_of_row,
    open_quarantine,
    quarantined_rows,
    settle_file,
)
from lakeloop.verbs.repairing import Repaired, repair
from lakeloop.verbs.replaying import Foreseen, Replayed, fix, replay
from lakeloop.verbs.reporting import report_run
from lakeloop.verbs.reproducing import Reproduced, reproduce_model
from lakeloop.verbs.retention import Retained, retain
from lakeloop.verbs.schemas import SchemaHistory, schema_history
from lakeloop.verbs.serving_models import serve_models
from lakeloop.verbs.sources import Sources, SourceState, find_sources
from lakeloop.verbs.streams import Stream, find_stream, pause_stream, reset_stream, resume_stream
from lakeloop.verbs.validation import validate
from lakeloop.verbs.watching import watch

__all__ = [
    "Asked",
    "Explained",
    "Foreseen",
    "OpenQuarantine",
    "ProfileAsked",
    "Profiled",
    "Progress",
    "Query",
    "Repaired",
    "Replayed",
    "Reproduced",
    "Retained",
    "RunSummary",
    "SchemaHistory",
    "SourceState",
    "Sources",
    "Stream",
    "Switched",
    "Trained",
    "backfill",
    "champion_history",
    "champions_at",
    "columns_of_rows",
    "discard",
    "explain_model",
    "export_contract",
    "find_sources",
    "find_stream",
    "fix",
    "history_of_pipeline",
    "history_of_row",
    "import_contract",
    "in_order",
    "incidents",
    "json_schemas",
    "load_catalog",
    "mark_batch",
    "open_lake",
    "open_quarantine",
    "pause_stream",
    "pii_warnings",
    "profile",
    "promote_model",
    "quality",
    "quarantined_rows",
    "query",
    "repair",
    "replay",
    "report_quality",
    "report_run",
    "reproduce_model",
    "reset_stream",
    "resume_stream",
    "retain",
    "roll_back",
    "run",
    "schema_history",
    "score_table",
    "send_test",
    "serve_data",
    "serve_models",
    "settle_file",
    "train_model",
    "validate",
    "watch",
    "withdraw_model",
    "write_json_schemas",
]
