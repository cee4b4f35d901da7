"""The catalog of a project, drawn from its declarations and from the schemas of the tables that there are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lakeloop.catalog.datasets import Catalog, CatalogColumn, DataSet, Relation, grouped
from lakeloop.catalog.lineage import Field, Flow, Origin, columns_after, flows_into, origins_in, result_columns
from lakeloop.catalog.unions import from_each_table, united_names
from lakeloop.core.config import Project
from lakeloop.ingestion.source_specs import LakeSource, TablesSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.ingestion.table_spec import ColumnSpec
from lakeloop.lake.history import VERSION_COLUMNS
from lakeloop.lake.open_tables import open_table, table_names

if TYPE_CHECKING:
    from lakeloop.training.spec import ModelSpec

RESULT = ""  # stands for the result of a query, a join or a union between its tables and its columns


def load_catalog(project: Project) -> Catalog:
    """Everything that is declared. Raises ConfigError for a declaration that is not valid; starts no Spark."""
    # Brings Spark's machine learning: a second that other commands should not wait for.
    from lakeloop.training.spec import ModelSpec

    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    models = [project.document("models", name).parse(ModelSpec) for name in project.names("models")]
    drawn = _Drawing(project.lake_root, {spec.sink.table: spec for spec in specs})
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
    writers: Mapping[str, PipelineSpec]
    flows: list[Flow] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.there = set(table_names(self.root))
        self.columns: dict[str, tuple[CatalogColumn, ...]] = {}

    def tables(self) -> Iterator[DataSet]:
        """The tables that pipelines write, with their records, and those in the lake that none writes."""
        for table, spec in self.writers.items():
            columns, record = self._columns_of(table), f"Every row that came in for {table}, with its verdict"
            own = tuple(each for each in self._stored(spec.record_table) if each.name.startswith("_"))
            data = tuple(each for each in columns if each.name not in VERSION_COLUMNS)
            yield DataSet(
                spec.record_table, "record", record, spec.owner, spec.tags, (*data, *own), pipeline=spec.pipeline,
                made_of=_inputs(spec), exists=spec.record_table in self.there,
            )  # fmt: skip
            yield DataSet(
                table, "table", spec.description, spec.owner, spec.tags, columns, tuple(_relations(spec)),
                spec.pipeline, (spec.record_table,), exists=table in self.there, note=self.notes.get(table, ""),
            )  # fmt: skip
        declared = {name for spec in self.writers.values() for name in (spec.sink.table, spec.record_table)}
        for table in sorted(self.there - declared):
            yield DataSet(table, "table", "No pipeline writes it", columns=self._stored(table))

    def models(self, specs: "Sequence[ModelSpec]") -> Iterator[DataSet]:
        """The models with the columns that they learn from, and the tables of their scores."""
        for spec in specs:
            name, label = f"model:{spec.model}", spec.label.column
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
        readers = grouped((name, spec) for spec in self.writers.values() for name in _inputs(spec) if ":" in name)
        for name, specs in readers.items():
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
            if (spec := self.writers.get(table)) is not None:
                made = self._made_by(spec)
                columns = self.columns[table] or tuple(map(CatalogColumn, made))
                self.columns[table] = tuple(_described(each, spec.columns) for each in columns)
                self._flow(spec, made or [each.name for each in columns])
        return self.columns[table]

    def _made_by(self, spec: PipelineSpec) -> list[str]:
        """The columns that a pipeline makes; where its source does not tell them, those of its record."""
        if isinstance(spec.source, LakeSource):
            arriving = result_columns(spec.source, self._inputs_of(spec.source))
        elif isinstance(spec.source, TablesSource):
            arriving = united_names(spec.source, self._columns_of_each(spec.source.data_sets))
        else:
            arriving = list(spec.source.arriving)
        if arriving:
            return columns_after(arriving, spec)
        return [each.name for each in self._stored(spec.record_table) if not each.name.startswith("_")]

    def _flow(self, spec: PipelineSpec, columns: Sequence[str]) -> None:
        record, sink = spec.record_table, spec.sink
        flows = flows_into(spec, spec.source.data_set or RESULT, columns)
        if isinstance(spec.source, LakeSource):
            origins, problem = origins_in(spec.source, self._inputs_of(spec.source))
            if problem:
                self.notes[sink.table] = problem
            flows = [whole for flow in flows for whole in _through(flow, origins)]
        elif isinstance(spec.source, TablesSource):
            known = self._columns_of_each(spec.source.data_sets)
            flows = [each for flow in flows for each in _of_union(flow, spec.source, known)]
        how = () if sink.mode == "append" else (sink.history or sink.mode,)
        self.flows += [*flows, *(Flow(Field(record, name), Field(sink.table, name), how) for name in columns)]

    def _inputs_of(self, source: LakeSource) -> dict[str, list[str]]:
        return self._columns_of_each(source.inputs.values())

    def _columns_of_each(self, tables: Iterable[str]) -> dict[str, list[str]]:
        return {table: [each.name for each in self._columns_of(table)] for table in tables}

    def _stored(self, table: str) -> tuple[CatalogColumn, ...]:
        if table not in self.there:
            return ()
        return tuple(CatalogColumn(each.name, str(each.type)) for each in open_table(self.root, table).schema)


def _through(flow: Flow, origins: Mapping[str, Sequence[Origin]]) -> list[Flow]:
    """A flow from the result of a query or a join as flows from what that is made of; any other one as it is."""
    if flow.source.data_set != RESULT:
        return [flow]
    made_of = origins.get(flow.source.column, ())
    return [
        flow._replace(source=each.field, by=each.by + flow.by, direct=flow.direct and each.direct) for each in made_of
    ]


def _of_union(flow: Flow, source: TablesSource, columns_of: Mapping[str, Sequence[str]]) -> list[Flow]:
    return [flow] if flow.source.data_set != RESULT else list(from_each_table(flow, source, columns_of))


def _described(column: CatalogColumn, declared: Mapping[str, ColumnSpec]) -> CatalogColumn:
    said = declared.get(column.name)
    return column if said is None else replace(column, description=said.description, tags=tuple(said.tags))


def _inputs(spec: PipelineSpec) -> tuple[str, ...]:
    """The data sets that a pipeline makes rows of."""
    tables = {each.lookup.table for each in spec.enrich if each.lookup}
    services = {f"rest:{each.http.rest}{each.http.path}" for each in spec.enrich if each.http}
    return tuple(sorted(tables | services | set(_sources(spec))))


def _sources(spec: PipelineSpec) -> Iterable[str]:
    """The data sets that a pipeline's source reads."""
    if isinstance(spec.source, LakeSource):
        return spec.source.inputs.values()
    return spec.source.data_sets if isinstance(spec.source, TablesSource) else (spec.source.data_set,)


def _relations(spec: PipelineSpec) -> Iterator[Relation]:
    if spec.sink.keys:
        yield Relation("key", spec.sink.keys)
    for rule in spec.rules:
        if rule.table:
            yield Relation("references", rule.columns, rule.table, tuple(rule.parameters.get("keys") or rule.columns))
    for each in spec.enrich:
        if each.lookup:
            yield Relation("looks up", tuple(each.lookup.on), each.lookup.table, tuple(each.lookup.on.values()))
