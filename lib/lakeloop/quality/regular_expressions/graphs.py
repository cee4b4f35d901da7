"""Components and shortest ways of graphs that are given by what follows each place."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

Place = TypeVar("Place", bound=Hashable)


def components(places: Iterable[Place], after: Callable[[Place], Iterable[Place]]) -> list[set[Place]]:
    """The strongly connected components, those that come later first (Tarjan)."""
    index: dict[Place, int] = {}
    low: dict[Place, int] = {}
    open_places, is_open, found = list[Place](), set[Place](), list[set[Place]]()
    for root in places:
        if root in index:
            continue
        work: list[tuple[Place, Iterator[Place]]] = [(root, iter(after(root)))]
        index[root] = low[root] = len(index)
        open_places.append(root)
        is_open.add(root)
        while work:
            place, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    open_places.append(target)
                    is_open.add(target)
                    work.append((target, iter(after(target))))
                    break
                if target in is_open:
                    low[place] = min(low[place], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[place])
                if low[place] == index[place]:
                    component = set[Place]()
                    while place not in component:
                        component.add(open_places.pop())
                    is_open -= component
                    found.append(component)
    return found


def path(
    start: Place, is_end: Callable[[Place], bool], after: Callable[[Place], Iterable[tuple[Place, int]]]
) -> list[tuple[Place, int]] | None:
    """The shortest way of at least one step: the places after the start, each with the letters that lead there."""
    came: dict[Place, tuple[Place | None, int]] = {}
    waiting = deque([start])
    while waiting:
        place = waiting.popleft()
        for target, letters in after(place):
            if target in came:
                continue
            came[target] = (place, letters)
            if is_end(target):
                steps = [(target, letters)]
                while (at := came[steps[-1][0]][0]) is not None and at != start:
                    steps.append((at, came[at][1]))
                return steps[::-1]
            waiting.append(target)
    return None
