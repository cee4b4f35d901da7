"""A source whose column types change: the type that the record table has is kept, and what does not fit is found."""

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from lakeloop.ingestion.sources.protocol import Extract
from lakeloop.ingestion.transforms import strict_cast, uncastable
from lakeloop.quality.rules import value_of


def keep_known_types(extract: Extract, known: StructType | None) -> Extract:
    """Cast columns that arrive in another type than `known` has; a value that cannot be quarantines its row.

    The reason is `<column>_type_changed` and the value stands in the row's `_original`. New columns pass as they are.
    """
    if known is None:
        return extract
    frame, findings = extract.frame, list(extract.findings)
    types = {field.name: field.dataType for field in known}
    for field in extract.frame.schema:
        wanted = types.get(field.name)
        if field.name.startswith("_") or wanted is None or wanted == field.dataType:
            continue
        lost, sql_type = f"_unchanged_{field.name}", wanted.simpleString()
        if isinstance(wanted, ArrayType | MapType | StructType | BinaryType):
            converted = F.lit(None).cast(wanted)
        else:
            converted = strict_cast(field.name, sql_type, field.dataType)
        frame = frame.withColumn(lost, F.when(converted.isNull(), value_of(field.name).cast("string")))
        frame = frame.withColumn(field.name, converted)
        findings.append(uncastable(f"{field.name}_type_changed", field.name, lost, sql_type))
    return Extract(frame, tuple(findings))
