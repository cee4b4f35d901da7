"""Which pipelines a part can be read again of, told from their declarations."""

from lakeloop.core.errors import StreamError
from lakeloop.ingestion.source_specs import CdcSource, JdbcSource, QuerySource, RestSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Dedupe


def comes_twice(spec: PipelineSpec) -> bool:
    """Whether rows that are read again would stand in the sink again."""
    steps = (transform.step for transform in spec.transforms)
    return spec.sink.mode == "append" and not any(isinstance(step, Dedupe) and step.against for step in steps)


def require_backfillable(spec: PipelineSpec) -> None:
    """Raise StreamError, with the remedy, where reading a part again would not end in the right tables."""
    name, source, table = spec.pipeline, spec.source, spec.sink.table
    if isinstance(source, CdcSource):
        raise StreamError(
            f"the slot {source.slot} has let the server forget what {name} has, so no part of its changes can be read "
            "again; update the rows at the source, which come as changes, or give the source a `slot` of a new name, "
            "and the next run reads the whole table anew"
        )
    if spec.sink.mode == "overwrite" or _is_whole(source):
        raise StreamError(f"each run of {name} reads all of its source again; `lakeloop run {name}` does what you want")
    if comes_twice(spec):
        raise StreamError(
            f"{table} only grows, so every row that {name} reads again would come twice; give the sink `mode: merge` "
            "with keys and sequence_by, or the transforms a dedupe with `against: table`, and read again then"
        )
    if spec.sink.mode == "merge" and spec.sink.sequence_by is None:
        raise StreamError(
            f"{table} has no sequence_by, so rows that {name} reads again would replace newer ones of their keys; "
            f"declare one, or read everything anew in its order: `lakeloop stream reset {name}`, then `lakeloop run "
            f"{name}`"
        )


def _is_whole(source: object) -> bool:
    if isinstance(source, JdbcSource):
        return source.incremental is None
    return isinstance(source, QuerySource) or (isinstance(source, RestSource) and source.is_whole)
