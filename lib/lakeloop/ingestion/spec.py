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
from lakeloop.ingestion.field_names import FieldName
from lakeloop.ingestion.reach_rules import refuse_unsaid_reach
from lakeloop.ingestion.sink_spec import Sink, Target
from lakeloop.ingestion.source_specs import (
    CdcSource,
    JdbcSource,
    JoinSource,
    LakeSource,
    RestSource,
    Source,
    TablesSource,
)
from lakeloop.ingestion.table_spec import ColumnSpec, Keep, Tag, refuse_unkeepable
from lakeloop.ingestion.transforms import Dedupe, Survive, Transform
from lakeloop.ingestion.watch_spec import WatchOver
from lakeloop.lake.views import ROUTE
from lakeloop.quality import Rule, Rules, rules_version


class Retry(Declaration):
    """Further tries of a run where source, storage or Spark failed; the pause before each is twice the one before."""

    times: int = Field(ge=1, le=10)
    wait: Duration = Field(default=dt.timedelta(seconds=30), description="The first pause")

    @property
    def waits(self) -> list[float]:
        """The pauses in seconds."""
        return [self.wait.total_seconds() * 2**number for number in range(self.times)]


class PipelineSpec(Declaration):
    """One pipeline: source → transforms → enrich → rules → sink. Grain of its tables is what `description` says."""

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
    rules: Rules = ()
    sink: Sink
    columns: dict[FieldName, ColumnSpec] = Field(default_factory=dict)
    keep: Keep | None = None
    watch_over: WatchOver | None = Field(default=None, description="Numbers of each batch that are held to their past")

    @model_validator(mode="after")
    def _keeps_what_it_can(self) -> Self:
        if self.keep:
            refuse_unkeepable(self.keep, {target.mode for target in self.sink.targets})
        return self

    @model_validator(mode="after")
    def _keeps_no_personal_values(self) -> Self:
        private = [name for name in (self.watch_over.columns if self.watch_over else ()) if name in self.pii_columns]
        if private:
            text = f"{private[0]} is personal data, whose values would stand in ops; leave it out, NULLs count anyway"
            raise PydanticCustomError("watch_over", "{text}", {"text": text})
        return self

    @field_validator("sink")
    @classmethod
    def _orders_versions(cls, sink: Sink, others: ValidationInfo) -> Sink:
        if has_changes(others.data.get("source")):
            refuse_sink_of_changes(sink)
        elif "source" in others.data and any(each.history and each.sequence_by is None for each in sink.targets):
            raise PydanticCustomError("sink", "history: scd2 needs mode merge and sequence_by")
        return sink

    @model_validator(mode="after")
    def _takes_every_change(self) -> Self:
        if has_changes(self.source):
            refuse_one_per_key(self.transforms, self.rules)
        return self

    @model_validator(mode="after")
    def _compares_as_far_as_is_said(self) -> Self:
        refuse_unsaid_reach(self.rules, self.source, self.sink)
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
        if self.sink.is_replaced and isinstance(self.source, RestSource) and not self.source.is_whole:
            text = "mode overwrite replaces the table with each batch, so only the newest would stay; append or merge"
            raise PydanticCustomError("overwrite", "{text}", {"text": text})
        return self

    @model_validator(mode="after")
    def _dedupes_against_what_stays(self) -> Self:
        steps = (transform.step for transform in self.transforms)
        if self.sink.is_replaced and any(isinstance(step, Dedupe) and step.against for step in steps):
            raise PydanticCustomError(
                "dedupe", "mode overwrite replaces the table with each batch, so dedupe cannot look `against: table`"
            )
        return self

    @model_validator(mode="after")
    def _keeps_what_a_cursor_leaves_behind(self) -> Self:
        if self.sink.is_replaced and isinstance(self.source, JdbcSource) and self.source.incremental:
            raise PydanticCustomError(
                "incremental",
                "mode overwrite replaces the table with each batch, so only the newest rows would stay; leave "
                "`incremental` out or take mode append or merge",
            )
        if self.sink.is_replaced and isinstance(self.source, JoinSource | TablesSource):
            raise PydanticCustomError(
                "overwrite",
                "mode overwrite replaces the table with each batch, so only the newest rows would stay; take mode "
                "append or merge, or a query over the tables as the source",
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
    def targets(self) -> tuple[Target, ...]:
        """The tables of good rows."""
        return self.sink.targets

    @property
    def tables(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(target.table for target in self.targets)

    @property
    def said_tables(self) -> str:
        """Their names, as a message and the ledger have them."""
        return ", ".join(self.tables)

    @property
    def all_rules(self) -> list[Rule]:
        """The declared rules and those that its tables imply: merge keys are present and unique within a batch."""
        return self.rules_of("source")

    @property
    def rule_versions(self) -> dict[str, str]:
        """What tells one state of each declared rule from another, by its name."""
        return {rule.name: rules_version([rule]) for rule in self.rules}

    def rules_of(self, kind: str) -> list[Rule]:
        """The rules of a batch whose plan is of this kind.

        A backfill takes into one batch what came in several, so versions of a key may stand side by side there.
        """
        kept = {(r.kind, r.columns) for r in self.rules if r.severity != "warn" and r.filter is None}
        names = {rule.name for rule in self.rules}
        missing = [rule for target in self.targets for rule in self._implied(target, kind)]
        return [
            *self.rules,
            *(
                r.model_copy(update={"name": f"sink_{r.name}"}) if r.name in names else r
                for r in missing
                if (r.kind, r.columns) not in kept
            ),
        ]

    def _implied(self, target: Target, kind: str) -> list[Rule]:
        version = [target.sequence_by] if target.sequence_by and kind == "backfill" else []
        implied: list[tuple[str, dict[str, Any]]] = [("is_not_null", {"column": key}) for key in target.keys]
        if target.keys and not self._dedupes(target.keys) and not self.has_changes:
            implied.append(("is_unique", {"columns": [*target.keys, *version]}))
        if target.history and target.sequence_by:
            implied.append(("is_not_null", {"column": target.sequence_by}))
        rules = [Rule.model_validate({kind: parameters}) for kind, parameters in implied]
        if target.route is None:
            return rules
        only = {"filter": f"{ROUTE} = '{target.route}'"}
        return [rule.model_copy(update={"name": f"{target.route}_{rule.name}", **only}) for rule in rules]

    def _dedupes(self, keys: tuple[str, ...]) -> bool:
        """Whether a step makes keys unique; one whose keys are changed afterwards does not."""
        wanted, unique = set(keys), False
        for transform in self.transforms:
            step = transform.step
            if isinstance(step, Dedupe | Survive):
                unique = unique or set(step.keys) <= wanted
            elif wanted & step.writes:
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
        return set(self.source.lake_tables) if isinstance(self.source, LakeSource) else set()

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
