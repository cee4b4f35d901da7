"""What a pipeline whose rows are changes cannot declare, because it looks at one row per key and batch."""

from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from lakeloop.ingestion.sink_spec import Sink
from lakeloop.ingestion.transforms import Dedupe, Survive, Transform
from lakeloop.quality import Rule
from lakeloop.quality.keyed_rules import COUNTING


def refuse_sink_of_changes(sink: Sink) -> None:
    """Raise for a sink that changes cannot be merged into in the order of their commits."""
    if sink.routes is not None:
        raise PydanticCustomError(
            "sink", "changes go into one table: a row whose route changes would have to leave the table it was in"
        )
    if sink.mode != "merge":
        raise PydanticCustomError("sink", "changes need a sink with mode: merge and the keys of their table")
    if sink.columns is not None:
        raise PydanticCustomError(
            "sink", "a table of changes has all columns, since values that did not travel are taken from it"
        )
    if sink.sequence_by:
        raise PydanticCustomError("sink", "changes are applied in the order of their commits; leave sequence_by out")


def refuse_one_per_key(transforms: Sequence[Transform], rules: Sequence[Rule]) -> None:
    """Raise for what would drop or quarantine all but one change of a key."""
    if any(isinstance(transform.step, Dedupe) for transform in transforms):
        raise PydanticCustomError("transforms", "dedupe: several changes of a key are no duplicates; leave it out")
    if any(isinstance(transform.step, Survive) for transform in transforms):
        raise PydanticCustomError("transforms", "survive: several changes of a key are no rows of several sources")
    if counting := [rule.kind for rule in rules if rule.kind in COUNTING]:
        text = f"{counting[0]}: a key may change several times in a batch; a constraint of the source counts its rows"
        raise PydanticCustomError("rules", "{text}", {"text": text})
