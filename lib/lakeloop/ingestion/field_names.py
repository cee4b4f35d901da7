"""Names that a column may have."""

from typing import Annotated

from pydantic import AfterValidator, Field

# What Delta can store as a column name, less the leading underscore that Lakeloop's own columns have.
FIELD_NAME = r"^[^_`. ,;{}()\n\t=][^`. ,;{}()\n\t=]*$"
FieldName = Annotated[str, Field(pattern=FIELD_NAME)]


def distinct_fields(names: list[str]) -> list[str]:
    """Refuse a field that stands twice."""
    lowered = [name.lower() for name in names]  # Spark's column names do not differ by case alone
    if repeated := sorted({name for name in names if lowered.count(name.lower()) > 1}):
        raise ValueError(f"{', '.join(repeated)}: a field stands twice")
    return names


FieldNames = Annotated[list[FieldName], Field(min_length=1), AfterValidator(distinct_fields)]
