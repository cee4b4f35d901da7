"""What a user may write under `score:` in an entry of `enrich:`."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lakeloop.ingestion.enrichment.match_spec import Matching
from lakeloop.ingestion.field_names import FieldName

Answer = Literal["prediction", "probability", "is_positive", "version", "training_run"]
BY_DEFAULT: tuple[Answer, ...] = ("prediction", "probability", "version", "training_run")


class ModelScore(Matching):
    """What the champion of a model says of each row, and which version of it said so."""

    model: str = Field(pattern=r"^\w+$", description="Name in the registry")
    columns: dict[FieldName, Answer] = Field(
        default_factory=dict,
        min_length=1,
        description="New column: what of the answer; by default prediction, probability, version and training_run, "
        "each as <model>_<answer>",
    )

    @model_validator(mode="before")
    @classmethod
    def _all_by_default(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "columns" not in value and isinstance(value.get("model"), str):
            return {**value, "columns": {f"{value['model']}_{answer}": answer for answer in BY_DEFAULT}}
        return value
