"""What a table holds, in one pass, and the rules that this suggests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame

from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import EngineError, TableError
from lakeloop.core.run_record import RunContext, now
from lakeloop.core.spark_failures import SPARK_FAILURES, said
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.table_profiles import SHARE, Metric, StoredProfile, append_profile
from lakeloop.quality.profiling import (
    Proposal,
    Relations,
    TableProfile,
    find_relations,
    judge_proposals,
    profile_frame,
    propose_rules,
    rules_yaml,
)
from lakeloop.quality.row_rules.columns import quoted
from lakeloop.reports.page import render_page, write_page
from lakeloop.reports.profile_sections import profile_sections
from lakeloop.serving.data.policies import load_policies
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent

SEED = 7


@dataclass(frozen=True)
class ProfileAsked:
    """What to profile: a table, or a pipeline, which stands for its record.

    `columns`: these alone. `sample`: about this share of the rows, above 0 and below 1. `output`: where the page goes.
    `rules`: where the proposals go; then the rules themselves judge the whole table first, in a second pass.
    """

    name: str
    columns: tuple[str, ...] = ()
    sample: float | None = None
    output: Path | None = None
    rules: Path | None = None


@dataclass(frozen=True)
class Profiled:
    """What was found of which version of a table, and the page that tells it."""

    table: str
    version: int
    profile: TableProfile
    relations: Relations
    proposals: tuple[Proposal, ...]
    page: str


def profile(project: Project, asked: ProfileAsked, context: RunContext, progress: Progress = silent) -> Profiled:
    """Profile a table, keep the numbers in `ops.table_profiles`, write the page and, where asked for, the rules.

    Columns tagged pii show no value anywhere, nor does what looks like an e-mail address, a phone number or an IBAN.
    The numbers of a sample are not kept. Raises TableError for a table or a column that is not there, ConfigError for
    any pipeline that is not valid, since nobody can tell then what must be hidden.
    """
    policies = load_policies(project)
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    table = _table(asked.name, specs)
    lake = open_lake(project)
    version = lake.version(table)
    whole = _chosen(lake.read(table, version), asked.columns, table)
    frame = whole if asked.sample is None else whole.sample(asked.sample, SEED)
    hidden = tuple(policies[table].masks) if table in policies else ()
    try:
        progress(f"reading {table}")
        found = profile_frame(frame, hidden=hidden)
        progress("looking for relations")
        relations = find_relations(found)
        proposals = propose_rules(found, relations)
        if asked.rules is not None:
            progress(f"judging {len(proposals)} proposals")
            proposals = judge_proposals(whole, proposals)
    except SPARK_FAILURES as error:
        raise EngineError(f"Spark could not profile {table}: {said(error)}") from error
    if asked.sample is None:
        append_profile(lake.root, stored(found, table, version, _pipeline(table, specs)))
    of = f"{table} as of version {version}"
    if asked.rules is not None:
        _write(asked.rules, rules_yaml(of, found, proposals))
    sections = profile_sections(found, relations, proposals, _said(asked.sample))
    page = str(asked.output.resolve()) if asked.output else f"{lake.root}/_reports/profile_{table}_{version}.html"
    subtitle = f"version {version}, {now():%Y-%m-%d %H:%M} UTC, profiled in {context.environment} by {context.user}"
    write_page(page, render_page(f"Profile of {table}", subtitle, sections))
    link = page if "://" in page else Path(page).as_uri()
    return Profiled(table, version, found, relations, tuple(proposals), link)


def stored(profile: TableProfile, table: str, version: int, pipeline: str | None) -> StoredProfile:
    """The numbers of a profile as `ops.table_profiles` keeps them."""
    metrics = [Metric(None, "rows", float(profile.rows))]
    for column in profile.columns:
        metrics += [Metric(column.name, metric, value) for metric, value in column.metrics().items()]
        metrics += [Metric(column.name, SHARE, share, value) for value, share in column.shares().items()]
    return StoredProfile(table, now(), tuple(metrics), version, pipeline)


def _table(name: str, specs: Sequence[PipelineSpec]) -> str:
    if "." in name:
        return name
    records = {spec.pipeline: spec.record_table for spec in specs}
    if name not in records:
        raise TableError(
            f"'{name}' is neither a table, as silver.customers, nor a pipeline; {propose(name, list(records))}"
        )
    return records[name]


def _pipeline(table: str, specs: Sequence[PipelineSpec]) -> str | None:
    return next((spec.pipeline for spec in specs if table in (*spec.tables, spec.record_table)), None)


def _chosen(frame: DataFrame, columns: Sequence[str], table: str) -> DataFrame:
    """The columns that are named, else all but Lakeloop's own."""
    for name in columns:
        if name not in frame.columns:
            raise TableError(f"{table} has no column '{name}'; {propose(name, frame.columns)}")
    names = columns or [name for name in frame.columns if not name.startswith("_")]
    return frame.select(*(quoted(name) for name in dict.fromkeys(names)))


def _said(sample: float | None) -> str:
    return (
        "" if sample is None else f"A sample of about {sample:.2%} of the rows: what is called exact is of the sample."
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
