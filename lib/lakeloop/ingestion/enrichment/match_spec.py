"""What every entry of `enrich:` may say of rows that found nothing."""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lakeloop.core.documents import Declaration

PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")


def _percent(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value
    match = PERCENT.fullmatch(str(value).strip())
    if match is None or not 0 < Decimal(match[1]) <= 100:
        raise ValueError("a share is a percentage above 0% and up to 100%, as 99.5%")
    return Decimal(match[1])


Written = Annotated[str, Field(pattern=r"^\s*\d{1,3}(\.\d{1,6})?\s*%\s*$")]
Percent = Annotated[Decimal, BeforeValidator(_percent, json_schema_input_type=Written)]


class Matching(Declaration):
    """The part that all enrichments share."""

    name: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]*$", description="By default that of the table or of the connection"
    )
    missing: Literal["quarantine", "warn"] | None = Field(
        default=None, description="What becomes of a row without a match; null: nothing, its new columns are NULL"
    )
    at_least: Percent | None = Field(default=None, description="Below this share of matches the batch is withdrawn")
