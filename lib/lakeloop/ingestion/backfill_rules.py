"""Which pipelines a part can be read again of, told from their declarations."""

from lakeloop.core.errors import StreamError
from lakeloop.ingestion.reach_rules import comes_whole
from lakeloop.ingestion.source_specs import CdcSource, JoinSource, TablesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Dedupe


def growing_tables(spec: PipelineSpec) -> list[str]:
    """The tables in which rows that are read again would stand twice."""
    if any(isinstance(transform.step, Dedupe) and transform.step.against for transform in spec.transforms):
        return []
    return [target.table for target in spec.targets if target.mode == "append"]


def require_backfillable(spec: PipelineSpec) -> None:
    """Raise StreamError, with the remedy, where reading a part again would not end in the right tables."""
    name, source = spec.pipeline, spec.source
    if isinstance(source, CdcSource):
        raise StreamError(
            f"the slot {source.slot} has let the server forget what {name} has, so no part of its changes can be read "
            "again; update the rows at the source, which come as changes, or give the source a `slot` of a new name, "
            "and the next run reads the whole table anew"
        )
    if isinstance(source, JoinSource | TablesSource):
        raise StreamError(
            f"{name} follows tables of a lake, which have all their rows: `lakeloop stream reset {name}` lets it begin "
            "anew"
        )
    if spec.sink.is_replaced or comes_whole(source):
        raise StreamError(f"each run of {name} reads all of its source again; `lakeloop run {name}` does what you want")
    if causal := [rule.name for rule in spec.rules if rule.is_causal]:
        raise StreamError(
            f"{name}: the rule {causal[0]} compares rows with all that came before, and what is read again did; "
            "give it `horizon: batch`, read again, and give it its horizon back then"
        )
    if growing := growing_tables(spec):
        verb = "only grows" if len(growing) == 1 else "only grow"
        raise StreamError(
            f"{', '.join(growing)} {verb}, so every row that {name} reads again would come twice; give the sink "
            "`mode: merge` with keys and sequence_by, or the transforms a dedupe with `against: table`, and read again "
            "then"
        )
    if without := [each.table for each in spec.targets if each.mode == "merge" and each.sequence_by is None]:
        raise StreamError(
            f"{without[0]} has no sequence_by, so rows that {name} reads again would replace newer ones of their keys; "
            f"declare one, or read everything anew in its order: `lakeloop stream reset {name}`, then `lakeloop run "
            f"{name}`"
        )
