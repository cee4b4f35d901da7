"""Who is beaten in nothing: the front of several costs at once."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[Sequence[float]]) -> list[bool]:
    """Whether nobody is as good in every cost and better in one; less is better, and of equals all are on the front."""
    return [not any(_beats(other, mine) for other in costs) for mine in costs]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
