"""Verbs: what the `lakeloop` command, the jobs and Python callers have in common, one function each.

Enters: a `Project` and the names that somebody typed. Leaves: what was done, for people to be told. May import every
room below; knows nothing of terminals.
"""

from importlib import import_module
from typing import Any

# Where each is. A command imports what it needs and no more: all of it together takes two seconds.
HOMES = {
    "Asked": "lakeloop.ingestion.sources.backfill",
    "Explained": "lakeloop.verbs.explaining",
    "Foreseen": "lakeloop.verbs.replaying",
    "OpenQuarantine": "lakeloop.verbs.quarantine",
    "ProfileAsked": "lakeloop.verbs.profiling",
    "Profiled": "lakeloop.verbs.profiling",
    "Progress": "lakeloop.verbs.progress",
    "Query": "lakeloop.verbs.access",
    "Repaired": "lakeloop.verbs.repairing",
    "Replayed": "lakeloop.verbs.replaying",
    "Reproduced": "lakeloop.verbs.reproducing",
    "Retained": "lakeloop.verbs.retention",
    "RunSummary": "lakeloop.verbs.pipelines",
    "SchemaHistory": "lakeloop.verbs.schemas",
    "SourceState": "lakeloop.verbs.sources",
    "Sources": "lakeloop.verbs.sources",
    "Stream": "lakeloop.verbs.streams",
    "Switched": "lakeloop.verbs.champions",
    "Trained": "lakeloop.verbs.models",
    "backfill": "lakeloop.verbs.backfilling",
    "champion_history": "lakeloop.verbs.champions",
    "champions_at": "lakeloop.verbs.champions",
    "columns_of_rows": "lakeloop.verbs.quarantine",
    "discard": "lakeloop.verbs.quarantine",
    "explain_model": "lakeloop.verbs.explaining",
    "export_contract": "lakeloop.verbs.contracts",
    "find_sources": "lakeloop.verbs.sources",
    "find_stream": "lakeloop.verbs.streams",
    "fix": "lakeloop.verbs.replaying",
    "history_of_pipeline": "lakeloop.verbs.quarantine",
    "history_of_row": "lakeloop.verbs.quarantine",
    "import_contract": "lakeloop.verbs.contracts",
    "in_order": "lakeloop.verbs.pipelines",
    "incidents": "lakeloop.verbs.alerting",
    "json_schemas": "lakeloop.verbs.editor_schemas",
    "load_catalog": "lakeloop.catalog",
    "mark_batch": "lakeloop.verbs.table_quality",
    "open_lake": "lakeloop.verbs.lakes",
    "open_quarantine": "lakeloop.verbs.quarantine",
    "pause_stream": "lakeloop.verbs.streams",
    "pii_warnings": "lakeloop.serving.data.policies",
    "profile": "lakeloop.verbs.profiling",
    "promote_model": "lakeloop.verbs.champions",
    "quality": "lakeloop.verbs.table_quality",
    "quarantined_rows": "lakeloop.verbs.quarantine",
    "query": "lakeloop.verbs.access",
    "repair": "lakeloop.verbs.repairing",
    "replay": "lakeloop.verbs.replaying",
    "report_quality": "lakeloop.verbs.table_quality",
    "report_run": "lakeloop.verbs.reporting",
    "reproduce_model": "lakeloop.verbs.reproducing",
    "reset_stream": "lakeloop.verbs.streams",
    "resume_stream": "lakeloop.verbs.streams",
    "retain": "lakeloop.verbs.retention",
    "roll_back": "lakeloop.verbs.champions",
    "run": "lakeloop.verbs.pipelines",
    "schema_history": "lakeloop.verbs.schemas",
    "score_table": "lakeloop.verbs.models",
    "send_test": "lakeloop.verbs.alerting",
    "serve_data": "lakeloop.verbs.access",
    "serve_models": "lakeloop.verbs.serving_models",
    "settle_file": "lakeloop.verbs.quarantine",
    "train_model": "lakeloop.verbs.models",
    "validate": "lakeloop.verbs.validation",
    "watch": "lakeloop.verbs.watching",
    "withdraw_model": "lakeloop.verbs.champions",
    "write_json_schemas": "lakeloop.verbs.editor_schemas",
}
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no {name}")
    module, _, there = HOMES[name].partition(":")
    return getattr(import_module(module), there or name)
