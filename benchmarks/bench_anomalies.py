"""Precision and recall of learned anomalies on seeded faults, beside mean ± 3 standard deviations of the same past.

A year of five made-up tables (see seeded_faults). An alarm is a batch with at least one number outside its band; alarms
of neighbouring batches are one incident. An incident is right when it overlaps a planted fault (within its batches, or
for a silence within the time that nothing came); a fault is found when an incident overlaps it. Thresholds were chosen
on seed 0; the figures are of the other seeds.

    python -m benchmarks.bench_anomalies [--seeds 1 2]
"""

import argparse
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.anomalies_cost import costs
from benchmarks.measuring import Ratio, write_result
from benchmarks.seeded_faults import FAULTS, TABLES, Measured, Table, measured, planted
from lakeloop.quality.anomalies import LEAST, WIDTH, Band, Point, Scale, band_of

CHOSEN_ON = 0
MOST = 500  # batches that are remembered, as by default
Detector = Callable[[Sequence[Point], dt.datetime, Scale, int | None, float | None], Band | None]


@dataclass(frozen=True)
class Score:
    """What a detector did with the faults of a table."""

    incidents: int
    right: int
    faults: int
    found: int
    by_kind: dict[str, tuple[int, int]]  # found, planted

    @property
    def precision(self) -> float:
        return self.right / self.incidents if self.incidents else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.faults if self.faults else 1.0


def learned(
    history: Sequence[Point], at: dt.datetime, scale: Scale, rows: int | None, noise: float | None
) -> Band | None:
    """The bands of Lakeloop."""
    return band_of(history, at, scale, rows=rows, noise=noise)


def three_sigma(history: Sequence[Point], *_: object) -> Band | None:
    """What is written first by hand: the mean of the past and three standard deviations, every batch teaches."""
    if len(history) < LEAST:
        return None
    values = np.array([point.value for point in history])
    mean, deviation = float(values.mean()), float(values.std())
    return Band(mean, mean - 3 * deviation, mean + 3 * deviation, len(values), max(deviation, 1e-12))


def series_of(batch: Measured, before: Measured | None) -> dict[str, tuple[dt.datetime, float, Scale]]:
    """The numbers of a batch that are judged. A wait is one of the batch that it began with."""
    found: dict[str, tuple[dt.datetime, float, Scale]] = {
        "rows": (batch.at, float(batch.rows), "count"),
        "null_share": (batch.at, batch.null_share, "share"),
        "mean": (batch.at, batch.mean, "number"),
    }
    found |= {f"share {name}": (batch.at, share, "share") for name, share in batch.shares.items()}
    if before is not None:
        found["wait"] = (before.at, (batch.at - before.at).total_seconds(), "count")
    return found


def alarms(batches: Sequence[Measured], detect: Detector) -> list[dict[str, float]]:
    """The numbers of each batch that are outside of their bands, with their scores."""
    history: dict[str, list[Point]] = {}
    found, before = [], None
    for batch in batches:
        seen: dict[str, float] = {}
        points: dict[str, Point] = {}
        for name, (at, value, scale) in series_of(batch, before).items():
            rows = batch.rows if scale == "share" else None
            noise = batch.mean_noise if name == "mean" else None
            band = detect(history.get(name, []), at, scale, rows, noise)
            if band is not None and name == "wait":
                band = replace(band, low=0.0)  # a batch that came early is no fault
            if band is not None and not band.holds(value):
                seen[name] = band.score(value)
            low, high = (None, None) if band is None else (band.low, band.high)
            points[name] = Point(at, value, low, high)
        for name, point in points.items():
            history.setdefault(name, []).append(point._replace(is_marked=bool(seen)))
            del history[name][:-MOST]
        found.append(seen)
        before = batch
    return found


def score(table: Table, batches: Sequence[Measured], found: Sequence[dict[str, float]], seed: int) -> Score:
    """Incidents held against the faults that were planted."""
    incidents: list[list[Measured]] = []
    is_open = False
    for batch, seen in zip(batches, found, strict=True):
        if seen:
            incidents = incidents if is_open else [*incidents, []]
            incidents[-1].append(batch)
        is_open = bool(seen)
    faults = planted(table, seed)
    silences = {number: at for number, (kind, at) in faults.items() if kind == "silence"}
    ends = [batch.at for batch in batches]
    hit: set[int] = set()
    right = 0
    for incident in incidents:
        own = {batch.fault[0] for batch in incident if batch.fault}
        for number, at in silences.items():  # seen by the first batch after it
            after = next((end for end in ends if end >= at), None)
            own |= {number} if any(batch.at == after for batch in incident) else set()
        right += bool(own)
        hit |= own
    by_kind = {
        kind: (
            sum(faults[number][0] == kind for number in hit),
            sum(each == kind for each, _ in faults.values()),
        )
        for kind in FAULTS
    }
    return Score(len(incidents), right, len(faults), len(hit), by_kind)


def total(scores: Sequence[Score]) -> Score:
    """All tables together."""
    by_kind = {
        kind: (sum(each.by_kind[kind][0] for each in scores), sum(each.by_kind[kind][1] for each in scores))
        for kind in FAULTS
    }
    sums = (sum(getattr(each, name) for each in scores) for name in ("incidents", "right", "faults", "found"))
    return Score(*sums, by_kind)


def told(one: Score) -> dict[str, object]:
    figures = {"precision": round(one.precision, 3), "recall": round(one.recall, 3)}
    return figures | {**asdict(one), "by_kind": {kind: f"{a}/{b}" for kind, (a, b) in one.by_kind.items()}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    figures: dict[str, Any] = {
        "thresholds_chosen_on_seed": CHOSEN_ON,
        "measured_on_seeds": asked.seeds,
        "settings": {"half_width_in_deviations": WIDTH, "least_batches": LEAST, "batches_remembered": MOST},
    }
    every: dict[str, Score] = {}
    for name, detect in {"lakeloop": learned, "three_sigma": three_sigma}.items():
        by_table: dict[str, list[Score]] = {}
        began, judged = time.process_time(), 0
        for seed in asked.seeds:
            for table in TABLES:
                batches = list(measured(table, seed))
                by_table.setdefault(table.name, []).append(score(table, batches, alarms(batches, detect), seed))
                judged += len(batches)
        spent = time.process_time() - began
        every[name] = total([one for scores in by_table.values() for one in scores])
        figures[name] = {
            "all": told(every[name]),
            "by_table": {table: told(total(scores)) for table, scores in by_table.items()},
            "milliseconds_per_batch_of_eight_numbers": round(spent / judged * 1000, 2),
        }
    figures["costs"] = costs()
    ours, plain = every["lakeloop"], every["three_sigma"]
    write_result(
        "anomalies",
        figures,
        {
            "precision": Ratio(ours.precision, 0.9, "at least"),
            "recall": Ratio(ours.recall, 0.9, "at least"),
            "precision over that of three sigma": Ratio(ours.precision / plain.precision, 1.0, "at least"),
        },
    )


if __name__ == "__main__":
    main()
