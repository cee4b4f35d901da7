"""Names as model files write them."""

from typing import Annotated

from pydantic import StringConstraints

# A dot or a backtick in a name would need quoting in every expression of Spark; the query that makes the table renames.
ColumnName = Annotated[str, StringConstraints(pattern=r"^[^.`]+$")]
TableName = Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")]
