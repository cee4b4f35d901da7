"""Whether columns can be ordered as several rules want it at once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

Order = tuple[int, str, str, str]  # place of the rule, column, operator, other column

MEANT = {"<": "<", "<=": "<=", "=": "=", "!=": "<>", ">=": ">=", ">": ">"}
TURNED = str.maketrans("<>", "><")


def impossible_orders(orders: Sequence[Order]) -> Iterator[tuple[list[int], str]]:
    """The places of rules that no values satisfy together, and why: two that exclude each other, or a ring of them."""
    pairs = defaultdict[tuple[str, str], list[tuple[int, set[str]]]](list)
    for place, column, operator, other in orders:
        allowed, pair = set(MEANT[operator]), (column.lower(), other.lower())
        if pair[0] < pair[1]:
            pairs[pair].append((place, allowed))
        elif pair[0] > pair[1]:
            pairs[pair[::-1]].append((place, {sign.translate(TURNED) for sign in allowed}))
        elif "=" not in allowed:
            yield [place], f"{column} is never {operator} itself"
    is_fine = True
    for (left, right), wanted in pairs.items():
        left_over, places = set("<=>"), list[int]()
        for place, allowed in wanted:
            if not left_over <= allowed:
                places.append(place)
            left_over = left_over & allowed
        if not left_over:
            is_fine = False
            yield places, f"{left} and {right} cannot be in such an order"
    if is_fine and (ring := _ring(pairs)):
        yield ring


def _ring(pairs: dict[tuple[str, str], list[tuple[int, set[str]]]]) -> tuple[list[int], str] | None:
    """Columns of which each is at most the next, one of them less, and the last leads to the first."""
    smaller = defaultdict[str, list[tuple[str, bool, list[int]]]](list)
    for (left, right), wanted in pairs.items():
        allowed = set("<=>").intersection(*(signs for _, signs in wanted))
        places = [place for place, _ in wanted]
        if ">" not in allowed:
            smaller[left].append((right, "=" not in allowed, places))
        if "<" not in allowed:
            smaller[right].append((left, "=" not in allowed, places))
    for start, steps in list(smaller.items()):
        for target, is_strict, places in steps:
            if is_strict and (way := _way(target, start, smaller)):
                columns, others = way
                return sorted({*places, *others}), f"{' ≤ '.join([start, *columns])} would have to be a ring"
    return None


def _way(
    start: str, end: str, smaller: dict[str, list[tuple[str, bool, list[int]]]]
) -> tuple[list[str], Iterable[int]] | None:
    waiting: list[tuple[list[str], list[int]]] = [([start], [])]
    seen = {start}
    while waiting:
        columns, places = waiting.pop(0)
        if columns[-1] == end:
            return columns, places
        for target, _, more in smaller.get(columns[-1], []):
            if target not in seen:
                seen.add(target)
                waiting.append(([*columns, target], [*places, *more]))
    return None
