"""A uniform sample of rows in bounded memory: every row draws a number, and the rows of the smallest numbers stay."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SAMPLE_ROWS = 10_000
DRAWN = "_drawn"


class RowSample:
    """At most `most` rows of all that were added, each as likely as any other. The same `seed` draws the same."""

    def __init__(self, most: int, seed: int) -> None:
        self._most, self._numbers = most, np.random.default_rng(seed)
        self._kept: pa.Table | None = None
        self._limit = 1.0  # a row that draws more than this cannot stay

    def add(self, rows: pa.RecordBatch) -> None:
        """Let every row of a batch draw."""
        drawn = pa.array(self._numbers.random(rows.num_rows))
        may_stay = pc.less(drawn, self._limit)
        taken = pa.Table.from_batches([rows]).append_column(DRAWN, drawn).filter(may_stay)
        self.merge(taken)

    def merge(self, drawn: pa.Table) -> None:
        """Take in rows that drew already, as `rows` gives them."""
        if not drawn.num_rows:
            return
        together = drawn if self._kept is None else pa.concat_tables([self._kept, drawn])
        if together.num_rows > self._most:
            order = pc.sort_indices(together, sort_keys=[(DRAWN, "ascending")])[: self._most]
            together = together.take(order)
            self._limit = pc.max(together[DRAWN]).as_py()
        self._kept = together.combine_chunks()

    @property
    def rows(self) -> pa.Table | None:
        """The rows with what they drew under `_drawn`, in no order; None before the first."""
        return self._kept
