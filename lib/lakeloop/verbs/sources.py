"""Every source that is declared, and what a look at it tells."""

from collections.abc import Sequence
from dataclasses import dataclass

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.ingestion.source_specs import JoinSource, Source, TablesSource
from lakeloop.ingestion.sources.probing import Check, probe
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.verbs.graph import run_graph
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent

SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class SourceState:
    """A source of a pipeline and the checks of a look at it; none where nobody looked."""

    pipeline: str
    name: str
    checks: tuple[Check, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, as far as was looked."""
        return all(check.ok for check in self.checks)


@dataclass(frozen=True)
class Sources:
    """The sources of pipelines, and the connections that no pipeline reads."""

    states: tuple[SourceState, ...]
    idle: tuple[str, ...] = ()


def find_sources(
    project: Project, names: Sequence[str] = (), progress: Progress = silent, *, look: bool = True
) -> Sources:
    """The sources of pipelines (none named: all), each looked at unless told not to; nothing is taken of them.

    Raises ConfigError for a declaration that is not valid, and what keeps Spark from starting, by which databases are
    looked at.
    """
    specs = [load_pipeline(project, name) for name in names or project.names("pipelines")]
    read = {spec.pipeline: name for spec in specs if (name := _name_of(spec.source)) is not None}
    used = {name.partition(":")[2].partition("/")[0] for name in read.values()}
    used |= {each.http.rest for spec in specs for each in spec.enrich if each.http}
    idle = () if names else tuple(sorted(set(project.connection_names()) - used))
    if not look:
        return Sources(tuple(SourceState(*pair) for pair in read.items()), idle)
    from lakeloop.ingestion.sources.opening import open_system

    lake = open_lake(project)
    by_name = {spec.pipeline: spec for spec in specs}

    def looked(pipeline: str) -> list[Check]:
        progress(f"looking at {read[pipeline]}")
        try:
            return probe(open_system(project, by_name[pipeline], lake))
        except LakeloopError as error:  # a secret or a variable that has no value
            return [Check("reachable", str(error), ok=False)]

    found = run_graph({pipeline: set() for pipeline in read}, looked, SIDE_BY_SIDE)
    return Sources(tuple(SourceState(pipeline, name, tuple(found[pipeline])) for pipeline, name in read.items()), idle)


def _name_of(source: Source) -> str | None:
    """What is said of a source; None for a query, whose inputs the run itself looks at."""
    if isinstance(source, JoinSource):
        return source.origin
    return ", ".join(source.data_sets) if isinstance(source, TablesSource) else source.data_set
