"""What columns have to do with each other, as far as a sample of rows can tell: candidates, never facts.

Looked at: at most 40 columns, in pairs. The columns that are floating-point numbers, constant or nested take no part
in keys and dependencies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.quality.profiling.confidence import FEWEST
from lakeloop.quality.profiling.table_profile import ColumnProfile, TableProfile

MOST_COLUMNS = 40
MOST_FOUND = 20
LEAST_CORRELATION = 0.3
STRONG = 0.9
EXPECTED_VIOLATIONS = 20  # of a dependency if the columns had nothing to do with each other
SHUFFLED_SHARE = 0.01

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Pearson's coefficient of two columns over `rows` rows that have both, ± `error` at 95%."""

    columns: tuple[str, str]
    coefficient: float
    error: float
    rows: int


@dataclass(frozen=True)
class Candidate:
    """Something that held in every one of `tested` rows of the sample: `columns` as the kind of rule reads them."""

    columns: tuple[str, ...]
    tested: int


@dataclass(frozen=True)
class Relations:
    """What was found, the strongest first; at most 20 of each. `keys` only where no column is a key by itself."""

    rows: int
    correlations: tuple[Correlation, ...] = ()
    keys: tuple[Candidate, ...] = ()
    dependencies: tuple[Candidate, ...] = ()
    orders: tuple[Candidate, ...] = ()
    filled_together: tuple[Candidate, ...] = field(default=())


def find_relations(profile: TableProfile) -> Relations:
    """Look for relations in the sample of a profile."""
    looked_at = [column for column in profile.columns if column.kind != "other" and column.filled][:MOST_COLUMNS]
    discrete = [c for c in looked_at if not c.is_constant and not c.type.startswith(("double", "float"))]
    codes = {column.name: _codes(profile.sample[column.name]) for column in discrete}
    numbers = {c.name: _numbers(profile.sample[c.name]) for c in looked_at if c.kind == "number" and not c.is_constant}
    correlations = sorted(_correlations(numbers), key=lambda found: -abs(found.coefficient))
    has_key = any(column.may_be_key for column in discrete)
    return Relations(
        rows=profile.sampled,
        correlations=tuple(correlations[:MOST_FOUND]),
        keys=() if has_key else tuple(_keys(codes))[:MOST_FOUND],
        dependencies=tuple(_dependencies(codes, [c for c in discrete if not c.may_be_key])[:MOST_FOUND]),
        orders=tuple(_orders(profile, looked_at, numbers, correlations))[:MOST_FOUND],
        filled_together=tuple(_filled_together(profile, looked_at))[:MOST_FOUND],
    )


def _codes(texts: pa.ChunkedArray) -> Codes:
    """A number for each different text, -1 for NULL."""
    encoded = texts.combine_chunks().dictionary_encode()
    found: Codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _numbers(texts: pa.ChunkedArray) -> Numbers:
    """The numbers that the texts stand for, NaN for NULL."""
    values = texts.combine_chunks()
    found: Numbers = pc.cast(values, pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    return found


def _correlations(numbers: dict[str, Numbers]) -> Iterator[Correlation]:
    for (one, left), (other, right) in combinations(numbers.items(), 2):
        both = np.isfinite(left) & np.isfinite(right)
        rows = int(both.sum())
        if rows < FEWEST or not left[both].std() or not right[both].std():
            continue
        coefficient = float(np.corrcoef(left[both], right[both])[0, 1])
        if abs(coefficient) >= LEAST_CORRELATION:
            error = 1.96 * (1 - coefficient**2) / float(np.sqrt(rows))
            yield Correlation((one, other), coefficient, error, rows)


def _pairs(left: Codes, right: Codes) -> Codes:
    together: Codes = left * (int(right.max(initial=0)) + 2) + right
    return together


def _keys(codes: dict[str, Codes]) -> Iterator[Candidate]:
    for (one, left), (other, right) in combinations(codes.items(), 2):
        rows = len(left)
        whole = rows >= FEWEST and left.min() >= 0 and right.min() >= 0
        if whole and len(np.unique(_pairs(left, right))) == rows:
            yield Candidate((one, other), rows)


def _dependencies(codes: dict[str, Codes], columns: Sequence[ColumnProfile]) -> list[Candidate]:
    """`a → b`: rows that share `a` share `b`, where many rows could have said otherwise. A NULL in `a` says nothing."""
    found = []
    for one, other in permutations([column.name for column in columns], 2):
        there = codes[one] >= 0
        left, right = codes[one][there], codes[other][there]
        different = len(np.unique(left))
        tested = len(left) - different
        if tested < FEWEST or len(np.unique(_pairs(left, right + 1))) != different:
            continue
        shares = np.unique(right, return_counts=True)[1] / len(right)
        if tested * (1 - float((shares**2).sum())) >= EXPECTED_VIOLATIONS:
            found.append(Candidate((one, other), tested))
    return sorted(found, key=lambda candidate: -candidate.tested)


def _orders(
    profile: TableProfile, columns: Sequence[ColumnProfile], numbers: dict[str, Numbers], strong: Sequence[Correlation]
) -> Iterator[Candidate]:
    """`a <= b`: of times, and of numbers that go together closely; not where any two values would be so ordered."""
    times = [column.name for column in columns if column.kind == "time" and not column.is_constant]
    as_numbers = {name: _codes_in_order(profile.sample[name]) for name in times} | numbers
    pairs = [*combinations(times, 2), *(each.columns for each in strong if each.coefficient >= STRONG)]
    mixed = np.random.default_rng(1)
    for one, other in [pair for two in pairs for pair in (two, two[::-1])]:
        left, right = as_numbers[one], as_numbers[other]
        both = np.isfinite(left) & np.isfinite(right)
        left, right = left[both], right[both]
        if len(left) < FEWEST or (left > right).any() or (left == right).all():
            continue
        if float((left > mixed.permutation(right)).mean()) >= SHUFFLED_SHARE:
            yield Candidate((one, other), len(left))


def _codes_in_order(times: pa.ChunkedArray) -> Numbers:
    """Times as Spark writes them, as seconds, NaN for NULL; a date is its midnight."""
    texts = pc.utf8_slice_codeunits(times.combine_chunks(), 0, 19)
    days = pc.cast(pc.utf8_slice_codeunits(texts, 0, 10), pa.date32())
    seconds = pc.cast(days, pa.timestamp("s")).cast(pa.int64()).cast(pa.float64())
    clock = pc.utf8_slice_codeunits(texts, 11, 19)
    parts = [pc.cast(_or_zero(pc.utf8_slice_codeunits(clock, at, at + 2)), pa.float64()) for at in (0, 3, 6)]
    for part, worth in zip(parts, (3600.0, 60.0, 1.0), strict=True):
        seconds = pc.add(seconds, pc.multiply(part, worth))
    found: Numbers = seconds.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    return found


def _or_zero(digits: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(digits, ""), "0", digits)


def _filled_together(profile: TableProfile, columns: Sequence[ColumnProfile]) -> Iterator[Candidate]:
    """Columns that are NULL in the same rows of the sample, and as often in all rows."""
    groups: dict[tuple[int, bytes], list[str]] = {}
    for column in columns:
        missing = pc.is_null(profile.sample[column.name]).combine_chunks().to_numpy(zero_copy_only=False)
        if column.nulls and missing.any() and not missing.all():
            groups.setdefault((column.nulls, missing.tobytes()), []).append(column.name)
    for (nulls, _), names in groups.items():
        if len(names) > 1 and min(nulls, profile.rows - nulls) >= EXPECTED_VIOLATIONS:
            yield Candidate(tuple(names), profile.sampled)
