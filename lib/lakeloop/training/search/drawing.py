"""Candidates drawn at random from lists and ranges, the same ones each time for a seed.

Where few of many parameters matter, that finds better values than a grid of as many candidates, which tries each value
again and again (Bergstra & Bengio 2012, "Random Search for Hyper-Parameter Optimization").
"""

import math
import random
from typing import Any

from lakeloop.training.algorithms import GridPoint
from lakeloop.training.spec.candidates import Choices
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.spec.search import Range

DIGITS = 4
TRIES = 100


def draw_points(spec: ModelSpec) -> tuple[GridPoint, ...]:
    """The candidates of a random search, no two of them alike.

    Each is of one entry under `candidates`, all of these being equally likely, with one value per parameter. Where only
    values are listed and no more combinations exist than `trials`, all of them are tried. Of small ranges there may be
    fewer than `trials`, when a hundred draws for each have found no more.
    """
    trials = spec.search.most_trials
    if not any(candidate.ranges for candidate in spec.candidates) and _combinations(spec) <= trials:
        return spec.points()
    draw = random.Random(spec.search.seed)
    found: dict[str, GridPoint] = {}
    for _ in range(trials * TRIES):
        candidate = draw.choice(spec.candidates)
        point = candidate.point({name: _drawn(draw, of) for name, of in candidate.choices.items()}, spec.task)
        found.setdefault(str(point), point)
        if len(found) == trials:
            break
    return tuple(found.values())


def short(value: float, limits: Range) -> float:
    """A real number to four digits, which a person can type again, and not beyond the limits."""
    return min(max(float(f"{value:.{DIGITS}g}"), limits.low), limits.high)


def _combinations(spec: ModelSpec) -> int:
    lists = [[of for of in candidate.choices.values() if not isinstance(of, Range)] for candidate in spec.candidates]
    return sum(math.prod(map(len, values)) for values in lists)


def _drawn(draw: random.Random, of: Choices) -> Any:
    if not isinstance(of, Range):
        return draw.choice(of)
    low, high = of.low, of.high
    if isinstance(low, int) and isinstance(high, int):
        if not of.log:
            return draw.randint(low, high)
        return min(int(math.exp(draw.uniform(math.log(low), math.log(high + 1)))), high)
    value = math.exp(draw.uniform(math.log(low), math.log(high))) if of.log else draw.uniform(low, high)
    return short(value, of)
