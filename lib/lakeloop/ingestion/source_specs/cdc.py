"""What a user may write of a source that follows the changes of a table of PostgreSQL."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.schemas.declaration import SchemaRules

UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}  # as PostgreSQL counts them


def parse_size(value: Any) -> int:
    """A number of bytes. Raises ValueError that says how one is written."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (match := re.fullmatch(r"([1-9]\d{0,6})([KMGT]B)", value)):
        return int(match[1]) * UNITS[match[2]]
    raise ValueError("a size is a whole number and one of KB, MB, GB, TB, as 512MB or as 10GB")


def size_in_words(size: int) -> str:
    """A number of bytes as people read it: `12.3 MB`."""
    for unit, factor in reversed(UNITS.items()):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,} bytes"


Written = Annotated[str, Field(pattern=r"^[1-9]\d{0,6}[KMGT]B$")]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | Written)]


class CdcSource(Declaration):
    """A table of PostgreSQL: read once as a whole, then every committed change, in the order of the commits."""

    cdc: str = Field(description="Connection of the kind jdbc, to PostgreSQL")
    table: str = Field(pattern=r"^[^.]+\.[^.]+$", description="Schema and table, as public.customers")
    slot: str = Field(
        pattern=r"^[a-z0-9_]{1,63}$",
        description="Replication slot of this pipeline alone; made by the first run. A new name reads the table anew",
    )
    publication: str = Field(min_length=1, description="Made beforehand: CREATE PUBLICATION … FOR TABLE …")
    changes_per_batch: int = Field(default=100_000, gt=0, description="A larger transaction is taken as a whole")
    schema_rules: SchemaRules = Field(
        default=SchemaRules(), alias="schema", description="When the table's columns change"
    )
    retains_at_most: Size | None = Field(default=None, description="An incident `slot_large` beyond this much WAL")

    @property
    def declared_types(self) -> None:
        """None: the columns and their types are those of the table."""

    @property
    def origin(self) -> str:
        """What stands in `_position`."""
        return f"{self.cdc}.{self.table}"

    @property
    def data_set(self) -> str:
        """What the catalog calls it."""
        return f"cdc:{self.cdc}/{self.table}"

    @property
    def arriving(self) -> tuple[str, ...]:
        """The columns that it is declared to give; empty where only reading tells."""
        return ()
