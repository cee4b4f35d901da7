"""What a user may write in `pipelines/<name>.yml`."""

import datetime as dt
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.config import Project
from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Duration
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.change_rules import refuse_one_per_key, refuse_sink_of_changes
from lakeloop.ingestion.enrichment.spec import Enrichments
from lakeloop.ingestion.event_spec import Events
from lakeloop.ingestion.field_names import FieldName
from lakeloop.ingestion.source_specs import (
    CdcSource,
    JdbcSource,
    JoinSource,
    LakeSource,
    RestSource,
    Source,
    TablesSource,
)
from lakeloop.ingestion.table_spec import ColumnSpec, Keep, TableReference, Tag, refuse_unkeepable
from lakeloop.ingestion.transforms import Dedupe, Transform
from lakeloop.quality import Rule


class Sink(Declaration):
    """The table of good rows."""

    table: TableReference
    mode: Literal["append", "merge", "overwrite"] = "append"
    keys: tuple[str, ...] = Field(
        default=(), description="For merge: what identifies a row; NULLs and repeats are errors"
    )
    sequence_by: str | None = Field(default=None, description="For merge: an older row never replaces a newer one")
    history: Literal["scd2"] | None = Field(default=None, description="Keep every version of a key")
    events: Events | None = Field(default=None, description="Where the good rows of each batch are sent, too")
    change_feed: bool = Field(default=False, description="Delta keeps how rows change, for pipelines that follow it")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode == "merge") != bool(self.keys):
            raise PydanticCustomError("sink", "keys belong to mode merge, and mode merge needs them")
        if self.sequence_by and self.mode != "merge":
            raise PydanticCustomError("sink", "sequence_by belongs to mode merge")
        if self.history and self.mode != "merge":
            raise PydanticCustomError("sink", "history: scd2 needs mode merge and sequence_by")
        if self.change_feed and self.mode == "append":
            raise PydanticCustomError(
                "sink", "change_feed belongs to a table whose rows change; one of mode append is followed without it"
            )
        return self


class Retry(Declaration):
    """Further tries of a run where source, storage or Spark failed; the pause before each is twice the one before."""

    times: int = Field(ge=1, le=10)
    wait: Duration = Field(default=dt.timedelta(seconds=30), description="The first pause")

    @property
    def waits(self) -> list[float]:
        """The pauses in seconds."""
        return [self.wait.total_seconds() * 2**number for number in range(self.times)]


class PipelineSpec(Declaration):
    """One pipeline: source → transforms → enrich → rules → sink. Grain of the sink is what `description` says."""

    pipeline: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    owner: str | None = None
    tags: tuple[Tag, ...] = Field(default=(), description="Words that the catalog finds its tables by")
    source: Source
    trigger: Literal["once", "available_now"] | Duration = Field(
        default="once", description="One batch a run, all there is, or an interval for `lakeloop watch` (then all, too)"
    )
    retry: Retry | None = Field(default=None, description="For `lakeloop run`; a watcher tries at its next turn anyway")
    transforms: tuple[Transform, ...] = ()
    enrich: Enrichments = ()
    rules: tuple[Rule, ...] = ()
    sink: Sink
    columns: dict[FieldName, ColumnSpec] = Field(default_factory=dict)
    keep: Keep | None = None

    @model_validator(mode="after")
    def _keeps_what_it_can(self) -> Self:
        if self.keep:
            refuse_unkeepable(self.keep, self.sink.mode)
        return self

    @field_validator("sink")
    @classmethod
    def _orders_versions(cls, sink: Sink, others: ValidationInfo) -> Sink:
        if has_changes(others.data.get("source")):
            refuse_sink_of_changes(sink.mode, sink.sequence_by)
        elif "source" in others.data and sink.history and sink.sequence_by is None:
            raise PydanticCustomError("sink", "history: scd2 needs mode merge and sequence_by")
        return sink

    @model_validator(mode="after")
    def _takes_every_change(self) -> Self:
        if has_changes(self.source):
            refuse_one_per_key(self.transforms, self.rules)
        return self

    @model_validator(mode="after")
    def _names_rules_once(self) -> Self:
        names = [*(rule.name for rule in self.rules), *(name for each in self.enrich for name in each.severities)]
        names += self.source.severities if isinstance(self.source, JoinSource) else []
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise PydanticCustomError("rules", f"two rules are called {', '.join(repeated)}; give one a `name`")
        return self

    @model_validator(mode="after")
    def _replaces_by_whole_answers(self) -> Self:
        if self.sink.mode == "overwrite" and isinstance(self.source, RestSource) and not self.source.is_whole:
            text = "mode overwrite replaces the table with each batch, so only the newest would stay; append or merge"
            raise PydanticCustomError("overwrite", "{text}", {"text": text})
        return self

    @model_validator(mode="after")
    def _dedupes_against_what_stays(self) -> Self:
        steps = (transform.step for transform in self.transforms)
        if self.sink.mode == "overwrite" and any(isinstance(step, Dedupe) and step.against for step in steps):
            raise PydanticCustomError(
                "dedupe", "mode overwrite replaces the table with each batch, so dedupe cannot look `against: table`"
            )
        return self

    @model_validator(mode="after")
    def _keeps_what_a_cursor_leaves_behind(self) -> Self:
        if self.sink.mode == "overwrite" and isinstance(self.source, JdbcSource) and self.source.incremental:
            raise PydanticCustomError(
                "incremental",
                "mode overwrite replaces the table with each batch, so only the newest rows would stay; leave "
                "`incremental` out or take mode append or merge",
            )
        if self.sink.mode == "overwrite" and isinstance(self.source, TablesSource):
            raise PydanticCustomError(
                "overwrite",
                "mode overwrite replaces the table with each batch, so only the newest rows would stay; take mode "
                "append or merge, or a query over the tables as the source",
            )
        return self

    @model_validator(mode="after")
    def _keeps_earlier_pairs(self) -> Self:
        if self.sink.mode == "overwrite" and isinstance(self.source, JoinSource):
            raise PydanticCustomError(
                "overwrite",
                "mode overwrite replaces the table with each batch, so only the newest pairs would stay; "
                "append or merge",
            )
        return self

    @property
    def record_table(self) -> str:
        """The bronze table: every row that came in, once, with its verdict."""
        return f"bronze.{self.pipeline}"

    @property
    def pii_columns(self) -> list[str]:
        """The columns that tell of a person."""
        return [name for name, column in self.columns.items() if column.is_pii]

    @property
    def all_rules(self) -> list[Rule]:
        """The declared rules and those that the sink implies: merge keys are present and unique within a batch."""
        implied: list[dict[str, Any]] = [{"is_not_null": key} for key in self.sink.keys]
        if self.sink.keys and not self._dedupes_keys() and not has_changes(self.source):
            implied.append({"is_unique": {"columns": list(self.sink.keys)}})
        if self.sink.history and self.sink.sequence_by:
            implied.append({"is_not_null": self.sink.sequence_by})
        kept = {(r.kind, r.columns) for r in self.rules if r.severity != "warn" and r.filter is None}
        names = {rule.name for rule in self.rules}
        missing = [rule for rule in map(Rule.model_validate, implied) if (rule.kind, rule.columns) not in kept]
        return [
            *self.rules,
            *(r.model_copy(update={"name": f"sink_{r.name}"}) if r.name in names else r for r in missing),
        ]

    def _dedupes_keys(self) -> bool:
        """Whether a dedupe makes the sink's keys unique; one whose keys are changed afterwards does not."""
        keys, unique = set(self.sink.keys), False
        for transform in self.transforms:
            step = transform.step
            if isinstance(step, Dedupe):
                unique = unique or set(step.keys) <= keys
            elif keys & step.writes:
                unique = False
        return unique

    @property
    def runs_until_idle(self) -> bool:
        """Whether a run takes batch after batch until nothing is new; a table that is read whole is always new."""
        is_whole = isinstance(self.source, JdbcSource) and self.source.incremental is None
        is_whole = is_whole or (isinstance(self.source, RestSource) and self.source.is_whole)
        return self.trigger != "once" and not is_whole

    @property
    def has_changes(self) -> bool:
        """Whether its rows are changes, which the sink applies in their order."""
        return has_changes(self.source)

    @property
    def looked_into(self) -> set[str]:
        """The tables of the lake that its look-ups and its rules read."""
        tables = {rule.table for rule in self.rules if rule.table}
        return tables | {enrichment.lookup.table for enrichment in self.enrich if enrichment.lookup}

    @property
    def followed(self) -> set[str]:
        """The tables of the lake that its rows come from."""
        if isinstance(self.source, LakeSource):
            return set(self.source.inputs.values())
        return set(self.source.lake_tables) if isinstance(self.source, TablesSource) else set()

    @property
    def inputs(self) -> set[str]:
        """The tables of the lake that this pipeline reads."""
        return self.looked_into | self.followed


def has_changes(source: object) -> bool:
    """Whether the rows of a source are changes."""
    return isinstance(source, CdcSource) or (isinstance(source, TablesSource) and source.changes)


def load_pipeline(project: Project, name: str) -> PipelineSpec:
    """The declaration of one pipeline. Raises ConfigError with file and line of each problem."""
    document = project.document("pipelines", name)
    spec = document.parse(PipelineSpec)
    if spec.pipeline != name:
        raise ConfigError(f"{document.place(('pipeline',))}: the file is called {name}, the pipeline {spec.pipeline}")
    return spec
