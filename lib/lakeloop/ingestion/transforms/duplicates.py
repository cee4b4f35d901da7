"""`dedupe`: of the rows of a key one is kept."""

import operator
from functools import reduce
from typing import Annotated, Literal

from pyspark.sql import Column, Window
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration
from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms.allowed import Columns, one_of
from lakeloop.ingestion.transforms.casting import strict_cast
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.quality.row_rules.columns import value_of

IN_TABLE = "a row of this key is in the table already"
IN_BATCH = "another row of this key was kept"


class Dedupe(Declaration):
    """`dedupe: {keys: [id], latest_by: updated_at}`: of the rows of a key in one batch one is kept, the rest dropped.

    A row that has a finding by then comes after all that have none, so a bad row never pushes out a good one; it is
    dropped beside it. Otherwise the kept row is the latest by `latest_by` (NULL is oldest); ties and a missing
    `latest_by` are decided by the row's content, so the choice does not depend on the order of arrival. Rows with a
    NULL in the key are no duplicates.

    With `against: table`, rows whose key an earlier batch has recorded as good are dropped too. A stream is a sequence
    of such batches, so this de-duplicates the whole stream. What tells versions of a row apart belongs to the keys
    then, or later versions are dropped. A batch that is repeated comes to the same result: its own rows do not count.
    """

    keys: Columns
    latest_by: str | None = None
    against: Annotated[Literal["table"], one_of(Literal["table"], "place to look for duplicates")] | None = None

    @property
    def writes(self) -> set[str]:
        """No column of users."""
        return set()

    def apply(self, conformed: Conformed) -> Conformed:
        """Mark the rows to drop in the column `_dropped`, with the message in `_dropped_because`."""
        conformed.require([*self.keys, *([self.latest_by] if self.latest_by else [])], "dedupe")
        if self.against:
            conformed, is_known = self._beside_the_table(conformed)
        else:
            is_known = F.lit(False)
        frame = conformed.frame
        keys = [value_of(key) for key in self.keys]
        order = [conformed.is_dropped, conformed.is_bad]  # what is gone already does not stand for its key
        if self.latest_by:
            order.append(value_of(self.latest_by).desc_nulls_last())
        order.append(F.xxhash64(*(value_of(name) for name in frame.columns if not name.startswith("_"))))
        if "_position" in frame.columns:
            order.append(F.xxhash64("_position"))
        is_whole = reduce(operator.and_, (key.isNotNull() for key in keys))
        is_later = F.row_number().over(Window.partitionBy(*keys).orderBy(*order)) > 1
        message = F.when(is_known, IN_TABLE).when(is_whole & is_later, IN_BATCH)
        return conformed.dropping("dedupe", message)

    def _beside_the_table(self, conformed: Conformed) -> tuple[Conformed, Column]:
        """The frame with a mark on rows whose key is recorded; by the key's type in the table, as it will be there."""
        if conformed.known is None:
            raise TableError("dedupe: `against: table` needs a table, and these rows belong to none; leave it out")
        recorded = conformed.known()
        if recorded is None or not set(self.keys) <= set(recorded.columns):
            return conformed, F.lit(False)
        marker = conformed.marker("known")
        theirs = recorded.select(*(value_of(key).alias(f"{marker}_{at}") for at, key in enumerate(self.keys)))
        arriving, there = conformed.frame.schema, recorded.schema
        same = [
            (
                value_of(key)
                if arriving[key].dataType == there[key].dataType
                else strict_cast(key, there[key].dataType.simpleString(), arriving[key].dataType)
            )
            == F.col(f"{marker}_{at}")
            for at, key in enumerate(self.keys)
        ]
        known = theirs.distinct().withColumn(marker, F.lit(True))
        frame = conformed.frame.join(known, reduce(operator.and_, same), "left").drop(*theirs.columns)
        return Conformed(frame, conformed.findings, conformed.known), F.coalesce(F.col(marker), F.lit(False))
