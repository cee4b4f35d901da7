"""Cost of quality rules: by way of checking, by number of rules, by number of rows, and of 1,000 rules."""

import statistics
from dataclasses import replace
from typing import Literal

from benchmarks.measuring import Ratio, print_ways, share_of
from benchmarks.quality_bench import Bench, Found, figures_of
from benchmarks.quality_rivals import BY_HAND, BY_HAND_AGGREGATES, FLOOR, OUR_AGGREGATES, OUR_ROWS, WAYS, Way

GROWTH = (100_000, 1_000_000, 10_000_000)
NUMBERS_OF_RULES = (10, 20, 50, 100, 200)
THOUSAND = 1_000
MANY_RULES = Way("Lakeloop, 200 row rules", "quality_run:many_rules", argument=200)
DQX_SPLIT = next(way for way in WAYS if way.name == "DQX, split")
TARGETS: dict[str, tuple[Way, Way, float, Literal["at most", "at least"]]] = {
    "rows_cpu_over_floor": (OUR_ROWS, FLOOR, 1.75, "at most"),
    "rows_cpu_over_handwritten": (OUR_ROWS, BY_HAND, 0.7, "at most"),
    "dqx_split_cpu_over_ours": (DQX_SPLIT, OUR_ROWS, 3.0, "at least"),
    "aggregates_cpu_over_handwritten": (OUR_AGGREGATES, BY_HAND_AGGREGATES, 1.0, "at most"),
    "two_hundred_rules_cpu_over_floor": (MANY_RULES, FLOOR, 2.5, "at most"),
}


def bench_ways(bench: Bench) -> Found:
    """The 21 checks in every way, and 200 row rules."""
    runs, failed = bench.in_turn((*WAYS, MANY_RULES), bench.measure)
    figures = figures_of(runs)
    print_ways("21 checks", figures)
    ratios = {
        name: Ratio(share_of(runs[one.name], runs[other.name], "cpu_seconds"), target, holds_if)
        for name, (one, other, target, holds_if) in TARGETS.items()
        if one.name in runs and other.name in runs
    }
    if OUR_AGGREGATES.name in runs:
        ratios["aggregates_scans"] = Ratio(runs[OUR_AGGREGATES.name][0]["scans"], 3)
    said = {name: found[0]["said"] for name, found in runs.items()}
    return {"ways": figures, "said": said, "failed": failed}, ratios


def bench_rules(bench: Bench) -> Found:
    """Cost by the number of row rules: what 200 cost over the floor, beside what 20 cost."""
    ways = {number: replace(MANY_RULES, name=f"{number} rules", argument=number) for number in NUMBERS_OF_RULES}
    runs, failed = bench.in_turn((FLOOR, *ways.values()), bench.measure)
    cpu = {name: statistics.median(run["cpu_seconds"] for run in found) for name, found in runs.items()}
    over_floor = {number: cpu[way.name] - cpu[FLOOR.name] for number, way in ways.items() if way.name in cpu}
    few, many = NUMBERS_OF_RULES[1], NUMBERS_OF_RULES[-1]
    ratio = Ratio(over_floor[many] / over_floor[few], many / few)
    return {"ways": figures_of(runs), "failed": failed}, {f"cost_of_{many}_rules_over_{few}": ratio}


def bench_growth(bench: Bench) -> Found:
    """CPU of a row from 0.1 to 10 million rows, without what a run costs with no rows at all."""
    found = {rows: bench.measure(OUR_ROWS, rows) for rows in GROWTH}
    least, middle, most = GROWTH
    cpu = {rows: run["cpu_seconds"] for rows, run in found.items()}
    slope = ((cpu[most] - cpu[middle]) / (most - middle)) / ((cpu[middle] - cpu[least]) / (middle - least))
    ratios = {"cpu_of_a_row_at_10_million_over_1_million": Ratio(slope, 1.1)}
    return {str(rows): run for rows, run in found.items()}, ratios


def bench_thousand(bench: Bench) -> Found:
    """1,000 rules on a column of taxi rides, as in `perftest.py` of cuallee."""
    ours = Way("Lakeloop, 1,000 rules", "quality_run:thousand", argument=THOUSAND)
    theirs = Way("cuallee, 1,000 rules", "rivals.cuallee:thousand", "cuallee", argument=THOUSAND)
    runs, failed = bench.in_turn((ours, theirs), bench.measure_rides)
    print_ways("1,000 rules", figures_of(runs))
    ratios = {
        f"thousand_rules_{figure}_over_cuallee": Ratio(share_of(runs[ours.name], runs[theirs.name], figure), 1.0)
        for figure in ("seconds", "cpu_seconds")
        if not failed
    }
    return {"ways": figures_of(runs), "failed": failed}, ratios
