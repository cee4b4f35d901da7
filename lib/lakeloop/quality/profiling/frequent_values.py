"""The most frequent values of a column in bounded memory: a Misra–Gries summary.

Misra and Gries 1982; that summaries can be merged: Agarwal and others, Mergeable summaries, PODS 2012.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

COUNTERS = 256


@dataclass
class FrequentValues:
    """Counts of at most 256 values. Each is too low by at most `error`, which never exceeds rows / 257.

    With an `error` of 0 nothing was ever left out: these are all the values there are, counted exactly.
    """

    counts: Counter[str] = field(default_factory=Counter)
    error: int = 0

    def add(self, values: pa.Array) -> None:
        """Count the texts of an array; NULL does not count."""
        found = pc.value_counts(values.drop_null())
        texts, numbers = found.field("values"), found.field("counts")
        if len(texts) > COUNTERS:
            order = pc.sort_indices(numbers, sort_keys=[("", "descending")])[: COUNTERS + 1]
            texts, numbers = texts.take(order), numbers.take(order)
            taken = numbers[COUNTERS].as_py()
            kept = pc.greater(numbers, taken)
            texts, numbers = texts.filter(kept), pc.subtract(numbers.filter(kept), taken)
            self.error += taken
        self.merge(type(self)(Counter(dict(zip(texts.to_pylist(), numbers.to_pylist(), strict=True)))))

    def merge(self, other: Self) -> None:
        """Take in what another summary has counted."""
        self.counts.update(other.counts)
        self.error += other.error
        if len(self.counts) > COUNTERS:
            taken = sorted(self.counts.values(), reverse=True)[COUNTERS]
            self.counts = Counter({text: count - taken for text, count in self.counts.items() if count > taken})
            self.error += taken

    def most_common(self, most: int | None = None) -> list[tuple[str, int]]:
        """Values and counts, the most frequent first, among equals by text."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:most]

    @property
    def is_complete(self) -> bool:
        """Whether every value is there with its exact count."""
        return self.error == 0

    def as_json(self) -> dict[str, Any]:
        """What `of` reads."""
        return {"counts": dict(self.counts), "error": self.error}

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Self:
        """A summary from what `as_json` gave."""
        return cls(Counter(written["counts"]), written["error"])


def merged(summaries: Iterable[FrequentValues]) -> FrequentValues:
    """One summary of all."""
    total = FrequentValues()
    for summary in summaries:
        total.merge(summary)
    return total
