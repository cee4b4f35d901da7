"""The types that columns had before they were written as JSON, taken from the table that has recorded them."""

from collections.abc import Sequence

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from lakeloop.ingestion.conform_types import keep_known_types
from lakeloop.ingestion.sources.protocol import Extract
from lakeloop.ingestion.transforms import Conformed, Transform, declared_types, uncastable
from lakeloop.quality.row_rules.columns import value_of


def typed(extract: Extract, known: StructType | None, transforms: Sequence[Transform]) -> Extract:
    """Texts in the types of the recorded columns, but for columns that a transform gives another type.

    A text that is no such value quarantines its row as `<column>_type_changed`, and NULL stays NULL.
    """
    declared = declared_types(transforms)
    kept = [each for each in known or () if each.name not in declared and not each.name.startswith("_")]
    frame, findings = extract.frame, list(extract.findings)
    for column in kept:
        if column.name not in frame.columns or not isinstance(
            column.dataType, BinaryType | ArrayType | MapType | StructType
        ):
            continue
        text, sql_type, lost = value_of(column.name), column.dataType.simpleString(), f"_unread_{column.name}"
        if isinstance(column.dataType, BinaryType):
            value = F.try_to_binary(text, F.lit("base64"))
        else:
            value = F.from_json(text, column.dataType.json())
        frame = frame.withColumns({lost: F.when(value.isNull(), text), column.name: value})
        findings.append(uncastable(f"{column.name}_type_changed", column.name, lost, sql_type))
    conformed = keep_known_types(Conformed(frame, tuple(findings)), StructType(kept), {})
    return Extract(conformed.frame, conformed.findings)
