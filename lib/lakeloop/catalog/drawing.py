"""The catalog of a project, drawn from its declarations and from the schemas of the tables that there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lakeloop.catalog.datasets import Catalog, CatalogColumn, DataSet, Relation, grouped
from lakeloop.catalog.lake_sources import arriving_columns, origins_in
from lakeloop.catalog.lineage import Field, Flow, Origin, columns_after, flows_into
from lakeloop.core.config import Project
from lakeloop.ingestion.sink_spec import EVERY_ROW, Target
from lakeloop.ingestion.source_specs import LakeSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.ingestion.table_spec import ColumnSpec
from lakeloop.lake.history import VERSION_COLUMNS
from lakeloop.lake.open_tables import open_table, table_names

if TYPE_CHECKING:
    from lakeloop.training.spec.model import ModelSpec

MODEL = "model:"
RESULT = ""  # stands for what a query, a join or a union gives, between its tables and its columns


def load_catalog(project: Project) -> Catalog:
    """Everything that is declared. Raises ConfigError for a declaration that is not valid; starts no Spark."""
    # Brings Spark's machine learning: a second that other commands should not wait for.
    from lakeloop.training.spec.model import ModelSpec

    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    models = [project.document("models", name).parse(ModelSpec) for name in project.names("models")]
    drawn = _Drawing(project.lake_root, {target.table: (spec, target) for spec in specs for target in spec.targets})
    sets = {each.name: each for each in (*drawn.tables(), *drawn.models(models))}
    sets |= {each.name: each for each in drawn.sources()}
    named = {name for each in sets.values() for name in each.made_of} | {flow.source.data_set for flow in drawn.flows}
    sets |= {name: DataSet(name, "table", "Nobody writes it", exists=False) for name in named - set(sets)}
    feeds = grouped((origin, each.name) for each in sets.values() for origin in each.made_of)
    linked = {name: replace(each, feeds=tuple(sorted(feeds.get(name, ())))) for name, each in sorted(sets.items())}
    return Catalog(linked, tuple(dict.fromkeys(drawn.flows)))


@dataclass
class _Drawing:
    """Columns and flows of the tables of a lake; each table is looked at once, after those that it is made of."""

    root: str
    writers: Mapping[str, tuple[PipelineSpec, Target]]
    flows: list[Flow] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.there = set(table_names(self.root))
        self.specs = {spec.pipeline: spec for spec, _ in self.writers.values()}
        self.columns: dict[str, tuple[CatalogColumn, ...]] = {}

    def tables(self) -> Iterator[DataSet]:
        """The tables that pipelines write, with their records, and those in the lake that none writes."""
        for table, (spec, target) in self.writers.items():
            yield DataSet(
                table, "table", _description(spec, target), spec.owner, spec.tags, self._columns_of(table),
                tuple(_relations(spec, target)), spec.pipeline, (spec.record_table,), exists=table in self.there,
                note=self.notes.get(table, ""),
            )  # fmt: skip
        for spec in self.specs.values():
            record = f"Every row that came in for {spec.said_tables}, with its verdict"
            columns = {each.name: each for table in spec.tables for each in self._columns_of(table)}
            data = tuple(each for each in columns.values() if each.name not in VERSION_COLUMNS)
            own = tuple(each for each in self._stored(spec.record_table) if each.name.startswith("_"))
            yield DataSet(
                spec.record_table, "record", record, spec.owner, spec.tags, (*data, *own), pipeline=spec.pipeline,
                made_of=_inputs(spec), exists=spec.record_table in self.there,
            )  # fmt: skip
        declared = {*self.writers, *(spec.record_table for spec in self.specs.values())}
        for table in sorted(self.there - declared):
            yield DataSet(table, "table", "No pipeline writes it", columns=self._stored(table))

    def models(self, specs: "Sequence[ModelSpec]") -> Iterator[DataSet]:
        """The models with the columns that they learn from, and the tables of their scores."""
        for spec in specs:
            name, label = f"{MODEL}{spec.model}", spec.label.column
            self._columns_of(spec.table)
            columns = (*spec.features.columns, label)
            yield DataSet(
                name, "model", spec.description, spec.owner, columns=tuple(map(CatalogColumn, columns)),
                made_of=(spec.table,),
            )  # fmt: skip
            yield DataSet(
                spec.scores, "table", f"What {spec.model} says of each {spec.key}", spec.owner,
                columns=self._stored(spec.scores), made_of=(name,), exists=spec.scores in self.there,
            )  # fmt: skip
            for column in columns:
                by = ("label",) if column == label else ("feature",)
                self.flows.append(Flow(Field(spec.table, column), Field(name, column), by))

    def sources(self) -> Iterator[DataSet]:
        """The systems outside that tables are made of, with the columns that are read of them."""
        read = grouped((flow.source.data_set, flow.source.column) for flow in self.flows)
        readers = grouped((name, spec) for spec in self.specs.values() for name in _inputs(spec) if ":" in name)
        for name, specs in readers.items():
            if name.startswith(MODEL):
                continue
            said = specs[0].columns if len(specs) == 1 else {}
            first = specs[0].source
            declared = () if isinstance(first, LakeSource) or first.data_set != name else first.arriving
            fields = dict.fromkeys([*declared, *sorted(read.get(name, ()))])
            columns = tuple(_described(CatalogColumn(each), said) for each in fields)
            used_by = ", ".join(spec.pipeline for spec in specs)
            yield DataSet(name, "source", f"Read by {used_by}", columns=columns)

    def _columns_of(self, table: str) -> tuple[CatalogColumn, ...]:
        """The columns of a table, as it is or as its declaration will make it; notes the flows into it."""
        if table not in self.columns:
            self.columns[table] = self._stored(table)  # for a table that reads itself
            if table in self.writers:
                spec, target = self.writers[table]
                made = target.shown(self._made_by(spec))
                columns = self.columns[table] or tuple(map(CatalogColumn, made))
                self.columns[table] = tuple(_described(each, spec.columns) for each in columns)
                self._flow(spec, target, made or [each.name for each in columns])
        return self.columns[table]

    def _made_by(self, spec: PipelineSpec) -> list[str]:
        """The columns that a pipeline makes; where its source does not tell them, those of its record."""
        if isinstance(spec.source, LakeSource):
            arriving = arriving_columns(spec.source, self._columns_read(spec.source))
        else:
            arriving = list(spec.source.arriving)
        if arriving:
            return columns_after(arriving, spec)
        return [each.name for each in self._stored(spec.record_table) if not each.name.startswith("_")]

    def _flow(self, spec: PipelineSpec, target: Target, columns: Sequence[str]) -> None:
        record, table = spec.record_table, target.table
        flows = flows_into(spec, spec.source.data_set or RESULT, columns)
        if isinstance(spec.source, LakeSource):
            wanted = [flow.source.column for flow in flows if flow.source.data_set == RESULT]
            origins, problem = origins_in(spec.source, wanted, self._columns_read(spec.source))
            if problem:
                self.notes[table] = problem
            flows = [whole for flow in flows for whole in _through(flow, origins)]
        how = () if target.mode == "append" else (target.history or target.mode,)
        self.flows += [*flows, *(Flow(Field(record, name), Field(table, name), how) for name in columns)]

    def _columns_read(self, source: LakeSource) -> dict[str, list[str]]:
        return {table: [each.name for each in self._columns_of(table)] for table in source.data_sets}

    def _stored(self, table: str) -> tuple[CatalogColumn, ...]:
        if table not in self.there:
            return ()
        return tuple(CatalogColumn(each.name, str(each.type)) for each in open_table(self.root, table).schema)


def _through(flow: Flow, origins: Mapping[str, Sequence[Origin]]) -> list[Flow]:
    """A flow from the result of a source that reads tables as flows from these; any other one as it is."""
    if flow.source.data_set != RESULT:
        return [flow]
    made_of = origins.get(flow.source.column, ())
    return [
        flow._replace(source=each.field, by=each.by + flow.by, direct=flow.direct and each.direct) for each in made_of
    ]


def _described(column: CatalogColumn, declared: Mapping[str, ColumnSpec]) -> CatalogColumn:
    said = declared.get(column.name)
    return column if said is None else replace(column, description=said.description, tags=tuple(said.tags))


def _inputs(spec: PipelineSpec) -> tuple[str, ...]:
    """The data sets that a pipeline makes rows of."""
    tables = {each.lookup.table for each in spec.enrich if each.lookup}
    services = {f"rest:{each.http.rest}{each.http.path}" for each in spec.enrich if each.http}
    models = {f"{MODEL}{each.score.model}" for each in spec.enrich if each.score}
    read = spec.source.data_sets if isinstance(spec.source, LakeSource) else (spec.source.data_set,)
    return tuple(sorted(tables | services | models | set(read)))


def _description(spec: PipelineSpec, target: Target) -> str:
    """What a table holds; of several of one pipeline, with the condition that its rows fulfil."""
    if target.where is None:
        return spec.description
    rows = "the rows that no other route takes" if target.where == EVERY_ROW else f"the rows where {target.where}"
    return f"{spec.description}: {rows}"


def _relations(spec: PipelineSpec, target: Target) -> Iterator[Relation]:
    if target.keys:
        yield Relation("key", target.keys)
    for rule in spec.rules:
        if rule.kind == "references" and set(rule.columns) <= set(target.shown(list(rule.columns))):
            keys = rule.parameters["keys"] or rule.columns
            yield Relation("references", rule.columns, rule.parameters["table"], tuple(keys))
    for each in spec.enrich:
        if each.lookup:
            yield Relation("looks up", tuple(each.lookup.on), each.lookup.table, tuple(each.lookup.on.values()))
