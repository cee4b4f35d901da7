"""A source whose column types change: the type that the record table has is kept, and what does not fit is found."""

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import Conformed, convert_columns, strict_cast, uncastable


def keep_known_types(conformed: Conformed, known: StructType | None, declared: Mapping[str, str]) -> Conformed:
    """Cast columns that arrive in another type than `known` has; a value that cannot be quarantines its row.

    The reason is `<column>_type_changed` and the value stands in the row's `_original`. New columns pass as they are.
    `declared` has the types that transforms give; raises TableError where one of them is not what the table has.
    """
    frame, findings = conformed.frame, list(conformed.findings)
    types = {field.name: field.dataType for field in known or ()}
    for field in frame.schema:
        wanted = types.get(field.name)
        if field.name.startswith("_") or wanted is None or wanted == field.dataType:
            continue
        lost, sql_type = f"_unchanged_{field.name}", wanted.simpleString()
        if field.name in declared:
            raise TableError(
                f"the transforms make {field.name} a {declared[field.name]}, but the table has it as {sql_type} since "
                f"its first batch; declare {sql_type}, or give the new type a new column"
            )
        if isinstance(wanted, ArrayType | MapType | StructType | BinaryType):
            converted = F.lit(None).cast(wanted)
        else:
            converted = strict_cast(field.name, sql_type, field.dataType)
        frame = convert_columns(frame, {field.name: (converted, lost)})
        findings.append(uncastable(f"{field.name}_type_changed", field.name, lost, sql_type))
    return replace(conformed, frame=frame, findings=tuple(findings))
