"""What joins ask of the pipelines whose tables they read."""

from collections.abc import Iterator

from lakeloop.core.config import Project
from lakeloop.ingestion.source_specs import JoinSource
from lakeloop.ingestion.spec import load_pipeline


def join_problems(project: Project) -> Iterator[str]:
    """A sentence, with file and line, for each side of a join whose rows a declared pipeline may change.

    Raises ConfigError for a declaration that is not valid.
    """
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    writers = {spec.sink.table: spec for spec in specs}
    for spec in specs:
        if not isinstance(spec.source, JoinSource):
            continue
        for name, side in spec.source.join.sides.items():
            writer = writers.get(side.table)
            if writer is None or writer.sink.mode == "append":
                continue
            place = project.document("pipelines", spec.pipeline).place(("source", "join", name, "table"))
            yield (
                f"{place}: rows of {side.table} may change, since {writer.pipeline} writes it in mode "
                f"{writer.sink.mode}, and a pair that was given out could not follow; a join takes tables that only "
                "grow (mode append). Where one side describes things, take `enrich: lookup`, else a source with `query`"
            )
