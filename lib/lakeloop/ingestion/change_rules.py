"""What a pipeline whose rows are changes cannot declare, because it looks at one row per key and batch."""

from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from lakeloop.ingestion.transforms import Dedupe, Transform
from lakeloop.quality import Rule


def refuse_sink_of_changes(mode: str, sequence_by: str | None) -> None:
    """Raise for a sink that changes cannot be merged into in the order of their commits."""
    if mode != "merge":
        raise PydanticCustomError("sink", "changes need a sink with mode: merge and the keys of their table")
    if sequence_by:
        raise PydanticCustomError("sink", "changes are applied in the order of their commits; leave sequence_by out")


def refuse_one_per_key(transforms: Sequence[Transform], rules: Sequence[Rule]) -> None:
    """Raise for what would drop or quarantine all but one change of a key."""
    if any(isinstance(transform.step, Dedupe) for transform in transforms):
        raise PydanticCustomError("transforms", "dedupe: several changes of a key are no duplicates; leave it out")
    if counting := [rule.kind for rule in rules if rule.kind in ("is_unique", "occurs_at_most")]:
        text = f"{counting[0]}: a key may change several times in a batch; a constraint of the source counts its rows"
        raise PydanticCustomError("rules", "{text}", {"text": text})
