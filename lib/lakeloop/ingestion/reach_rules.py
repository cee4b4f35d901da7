"""How far back the rules of a pipeline may compare rows, given how its rows come and where they go."""

from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from lakeloop.ingestion.sink_spec import Sink
from lakeloop.ingestion.source_specs import JdbcSource, QuerySource, RestSource, Source
from lakeloop.quality import Rule

ONE_PER_KEY = ("is_unique", "is_primary_key")


def refuse_unsaid_reach(rules: Sequence[Rule], source: Source, sink: Sink) -> None:
    """Raise where a rule on rows with one key would look at a batch alone and nobody has said so.

    A table that only grows gets its rows batch after batch. One that is merged has one row per key anyway, and there a
    rule on these keys must not compare with earlier batches: an update has the key of the row that it updates.
    """
    growing = [target for target in sink.targets if target.mode == "append"]
    for rule in (rule for rule in rules if rule.family == "keyed"):
        if growing and not comes_whole(source) and rule.horizon is None and rule.kind in ONE_PER_KEY:
            raise _wrong(
                f"{rule.name}: {growing[0].table} grows batch by batch, so say how far back a row may not come again: "
                "`horizon: all`, or `horizon: 7d` with `event_time: COLUMN`, or `horizon: batch`"
            )
        merged = [target for target in sink.targets if target.mode == "merge" and set(rule.columns) == set(target.keys)]
        if merged and rule.is_causal and rule.kind in ONE_PER_KEY:
            raise _wrong(
                f"{rule.name}: {merged[0].table} is merged by {', '.join(rule.columns)}, and an update has the key of "
                "the row that it updates; leave `horizon` out"
            )


def comes_whole(source: Source) -> bool:
    """Whether each batch is all that the source has."""
    if isinstance(source, JdbcSource):
        return source.incremental is None
    return isinstance(source, QuerySource) or (isinstance(source, RestSource) and source.is_whole)


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("rules", "{text}", {"text": text})
