"""Made-up tables with seasons, trend and noise, and faults planted in them whose places are known."""

import datetime as dt
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

START = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)  # a Monday
FAULTS = ("volume_drop", "volume_surge", "null_burst", "mean_shift", "category_shift", "silence")
CATEGORIES = ("card", "invoice", "prepaid", "voucher")


@dataclass(frozen=True)
class Measured:
    """The numbers of one batch, and the fault that was planted in it, if any."""

    at: dt.datetime
    rows: int
    null_share: float
    mean: float
    mean_noise: float
    shares: dict[str, float]
    fault: tuple[int, str] | None = None  # its number and kind


@dataclass(frozen=True)
class Table:
    """How one table behaves; `every` is the time between batches."""

    name: str
    every: dt.timedelta
    batches: int
    rows: float
    weekend: float = 1.0  # of a weekday's volume
    night: float = 1.0  # of noon's volume
    growth_a_year: float = 0.0
    noise: float = 0.1
    nulls: float = 0.02
    jitter: float = 0.05  # of `every`
    faults: int = 18


TABLES = (
    Table("daily, weekends low, growing", dt.timedelta(days=1), 365, 40_000, weekend=0.35, growth_a_year=0.8),
    Table("daily, steady, no nulls", dt.timedelta(days=1), 365, 5_000, nulls=0.0, noise=0.05),
    Table("daily, small, noisy", dt.timedelta(days=1), 365, 600, weekend=0.6, noise=0.2, nulls=0.05),
    Table("hourly, nights and weekends low", dt.timedelta(hours=1), 8_760, 8_000, 0.5, 0.15, 0.4, 0.12, faults=60),
    Table("hourly, steady, small", dt.timedelta(hours=1), 8_760, 300, noise=0.15, nulls=0.01, faults=60),
)


@dataclass
class _Dice:
    random: random.Random
    level: dict[str, float] = field(default_factory=dict)

    def noise(self, deviation: float) -> float:
        """Normal noise, one time in fifty of twice the width: real tables have such days without a fault."""
        return self.random.gauss(0, deviation * (2 if self.random.random() < 0.02 else 1))


def measured(table: Table, seed: int) -> Iterator[Measured]:
    """The batches of a table, oldest first. The first 60 days (daily) or 15 (hourly) have no fault."""
    dice = _Dice(random.Random(f"{seed}:{table.name}"))
    quiet = 60 if table.every >= dt.timedelta(days=1) else 24 * 15
    planned = _plan(table, dice.random, quiet)
    tilt = 0.0
    for number in range(table.batches):
        fault, size = planned.get(number, (None, 0.0))
        if fault is not None and fault[1] == "silence":
            continue
        at = START + number * table.every + table.every * abs(dice.random.gauss(0, table.jitter))
        rows = max(1, round(_volume(table, START + number * table.every) * math.exp(dice.noise(table.noise))))
        mean, nulls = 50 * (1 + 0.05 * number / table.batches), table.nulls
        weights = [0.5, 0.3, 0.15, 0.05]
        tilt = 0.9 * tilt + dice.random.gauss(0, 0.008)
        kind = fault[1] if fault else None
        if kind in {"volume_drop", "volume_surge"}:
            rows = max(1, round(rows * size))
        elif kind == "null_burst":
            nulls += size
        elif kind == "mean_shift":
            mean *= 1 + size
        elif kind == "category_shift":
            weights[0], weights[1] = weights[0] - size, weights[1] + size
        weights[0], weights[1] = weights[0] + tilt, weights[1] - tilt
        counts = _multinomial(dice.random, rows, weights)
        spread = 20 / math.sqrt(rows)
        yield Measured(
            at, rows, _binomial(dice.random, rows, nulls) / rows, mean + dice.noise(0.3) + dice.random.gauss(0, spread),
            spread, {name: count / rows for name, count in zip(CATEGORIES, counts, strict=True)}, fault,
        )  # fmt: skip


def planted(table: Table, seed: int) -> dict[int, tuple[str, dt.datetime]]:
    """Kind and first moment of each fault by its number."""
    dice = _Dice(random.Random(f"{seed}:{table.name}"))
    quiet = 60 if table.every >= dt.timedelta(days=1) else 24 * 15
    found: dict[int, tuple[str, dt.datetime]] = {}
    for position, ((number, kind), _) in sorted(_plan(table, dice.random, quiet).items()):
        found.setdefault(number, (kind, START + position * table.every))
    return found


def _plan(table: Table, dice: random.Random, quiet: int) -> dict[int, tuple[tuple[int, str], float]]:
    """Which batches have which fault, and how large it is."""
    between = (table.batches - quiet) // table.faults
    planned: dict[int, tuple[tuple[int, str], float]] = {}
    for number in range(table.faults):
        kind, first = FAULTS[number % len(FAULTS)], quiet + number * between + dice.randrange(max(between - 8, 1))
        size = {
            "volume_drop": dice.uniform(0.05, 0.65),
            "volume_surge": dice.uniform(1.5, 4),
            "null_burst": dice.uniform(0.03, 0.4),
            "mean_shift": dice.choice((-1, 1)) * dice.uniform(0.04, 0.4),
            "category_shift": dice.uniform(0.08, 0.4),
            "silence": 0.0,
        }[kind]
        for position in range(first, first + dice.randint(*((3, 6) if kind == "silence" else (1, 3)))):
            planned[position] = ((number, kind), size)
    return planned


def _volume(table: Table, at: dt.datetime) -> float:
    volume = table.rows * (1 + table.growth_a_year * (at - START).days / 365)
    if at.weekday() >= 5:
        volume *= table.weekend
    if table.every < dt.timedelta(days=1):
        day = (1 - math.cos(2 * math.pi * (at.hour - 3) / 24)) / 2
        volume *= table.night + (1 - table.night) * day
    return volume


def _binomial(dice: random.Random, rows: int, share: float) -> int:
    if share <= 0:
        return 0
    spread = math.sqrt(rows * share * (1 - share))
    return min(rows, max(0, round(dice.gauss(rows * share, spread))))


def _multinomial(dice: random.Random, rows: int, weights: list[float]) -> list[int]:
    counts, left, rest = [], rows, 1.0
    for weight in weights[:-1]:
        count = min(left, _binomial(dice, left, min(max(weight / rest, 0.0), 1.0))) if left else 0
        counts.append(count)
        left, rest = left - count, rest - weight
    return [*counts, left]
