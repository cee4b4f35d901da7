"""Whether a backtracking matcher may try a text in more ways than anybody waits for.

A text that can be taken in one way only is refused after one try. Where a part can take the same text twice within a
loop, the ways double with every round (exponential); where loops that take the same characters stand in a row, they
grow with a power of the length, one less than the loops (polynomial). The first is told by the product of the
automaton with itself, the second by the product of three (Weber and Seidl 1991, "On the degree of ambiguity of finite
automata"). Looks around and anchors are taken to hold everywhere, and a reference may take all that its group may.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from lakeloop.quality.regular_expressions.automata import Automaton, TooLargeError
from lakeloop.quality.regular_expressions.graphs import components, path

Steps = tuple[int, ...]  # sets of letters, one for each character
STEPS = 400_000


@dataclass(frozen=True)
class Ambiguity:
    """Positions of loops, and what they take: what leads to each, and a round that gives more ways each time."""

    places: frozenset[int]
    rounds: tuple[tuple[Steps, Steps], ...]
    degree: int | None = None  # of a polynomial; None for exponential

    def steps(self, times: int) -> Steps:
        """What takes long: every round so often, one behind the other."""
        return tuple(letters for before, again in self.rounds for letters in (*before, *again * times))


class Search:
    """What is asked of one automaton. `ends_freely`: nothing is asked of what follows, so an end is never given up."""

    def __init__(self, automaton: Automaton, *, ends_freely: bool) -> None:
        self.made = automaton
        self.shut = set(automaton.whole.last) if ends_freely else set[int]()
        self.steps = 0
        self.loops = [
            component
            for component in components(range(len(automaton.letters)), self._next)
            if len(component) > 1 or any(place in self._next(place) for place in component)
        ]

    def _next(self, place: int) -> list[int]:
        return [target for target, _ in self.after(place)]

    def after(self, place: int) -> list[tuple[int, int]]:
        """The positions that follow one, with the letters that lead there."""
        self.steps += 1
        if self.steps > STEPS:
            raise TooLargeError("nobody can say how long this pattern takes; take it apart into several rules")
        edges = self.made.edges.get(place, {})
        found = ((target, self.made.letters_of(place, target)) for target in edges if target not in self.shut)
        return [(target, letters) for target, letters in found if letters]

    def before(self, place: int) -> Steps | None:
        """What leads from the start to a position."""
        firsts = self.made.whole.first
        if self.made.letters[place] and place in firsts:
            return (self.made.letters[place],)
        starts = [(first, self.made.letters[first]) for first in firsts if self.made.letters[first]]
        steps = path(-1, place.__eq__, lambda at: starts if at == -1 else self.after(at))
        return None if steps is None else tuple(letters for _, letters in steps)

    def exponential(self) -> Ambiguity | None:
        """A loop in which the same text can be taken in two ways."""
        for loop in self.loops:
            doubled = self._doubled(loop) or self._forked(loop)
            if doubled is not None and (before := self.before(doubled[0])) is not None:
                return Ambiguity(frozenset(loop), ((before, doubled[1]),))
        return None

    def _doubled(self, loop: set[int]) -> tuple[int, Steps] | None:
        for place in loop:
            for target, letters in self.after(place):
                if target in loop and self.made.edges[place][target] > 1 and not self._is_settled(place, target):
                    back = [] if target == place else path(target, place.__eq__, self._within(loop))
                    return place, (letters, *(taken for _, taken in back or []))
        return None

    def _is_settled(self, *places: int) -> bool:
        """Whether all stand in one atomic part, which keeps one way only."""
        regions = {self.made.regions[place] for place in places}
        return len(regions) == 1 and None not in regions

    def _within(self, loop: set[int]) -> Callable[[int], Iterable[tuple[int, int]]]:
        return lambda place: [(target, letters) for target, letters in self.after(place) if target in loop]

    def _pairs(self, loop: set[int]) -> Callable[[tuple[int, int]], list[tuple[tuple[int, int], int]]]:
        within = self._within(loop)
        known: dict[int, list[tuple[int, int]]] = {place: list(within(place)) for place in loop}

        def after(pair: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
            self.steps += len(known[pair[0]]) * len(known[pair[1]])
            found = []
            for one, letters in known[pair[0]]:
                for other, others in known[pair[1]]:
                    both = letters & others
                    is_split = pair[0] == pair[1] and one != other and self._is_settled(one, other)
                    if both and not is_split:
                        found.append(((one, other), both))
            return found

        return after

    def _forked(self, loop: set[int]) -> tuple[int, Steps] | None:
        after = self._pairs(loop)
        starts = [(place, place) for place in loop]
        for component in components(starts, lambda pair: [target for target, _ in after(pair)]):
            same = next((pair for pair in component if pair[0] == pair[1]), None)
            apart = next((pair for pair in component if pair[0] != pair[1]), None)
            if same is not None and apart is not None:
                there = path(same, apart.__eq__, after) or []
                back = path(apart, same.__eq__, after) or []
                return same[0], tuple(letters for _, letters in [*there, *back])
        return None

    def polynomial(self) -> Ambiguity | None:
        """The longest chain of loops that share a text, with its degree; None where there is none."""
        loops = [loop for loop in self.loops if not any(self.made.bounded[place] for place in loop)]
        shares: dict[tuple[int, int], tuple[int, int, Steps]] = {}
        reach = [self._reached(loop) for loop in loops]
        for one, first in enumerate(loops):
            for other, second in enumerate(loops):
                if one != other and second & reach[one] and (shared := self._shared(first, second, reach[one])):
                    shares[one, other] = shared
        degree, chain = _longest_chain(len(loops), shares, lambda one, other: bool(loops[other] & reach[one]))
        if not degree:
            return None
        links = [shares[pair] for pair in pairwise(chain) if pair in shares]
        if (before := self.before(links[0][0])) is None:
            return None
        rounds = [(before, links[0][2])]
        for (_, last, _), (start, _, again) in pairwise(links):
            there = path(last, start.__eq__, self.after) if last != start else []
            rounds.append((tuple(letters for _, letters in there or []), again))
        return Ambiguity(frozenset(place for one in chain for place in loops[one]), tuple(rounds), degree)

    def _reached(self, loop: set[int]) -> set[int]:
        found, waiting = set[int](), list(loop)
        while waiting:
            for target in self._next(waiting.pop()):
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        return found

    def _shared(self, first: set[int], second: set[int], reached: set[int]) -> tuple[int, int, Steps] | None:
        in_first, in_second = self._within(first), self._within(second)
        if self._is_settled(*first):
            return None  # whether to stay is settled as soon as the part has matched

        def after(three: tuple[int, int, int]) -> list[tuple[tuple[int, int, int], int]]:
            pairs = [
                (one, other, letters & others)
                for one, letters in in_first(three[0])
                for other, others in in_second(three[2])
                if letters & others
            ]
            return [
                ((one, middle, other), both & taken)
                for middle, taken in self.after(three[1])
                if middle in reached
                for one, other, both in pairs
                if both & taken
            ]

        for one in first:
            for other in second:
                if steps := path((one, one, other), (one, other, other).__eq__, after):
                    return one, other, tuple(letters for _, letters in steps)
        return None


def _longest_chain(
    loops: int, shares: Mapping[tuple[int, int], object], leads: Callable[[int, int], bool]
) -> tuple[int, tuple[int, ...]]:
    """Of loops that lead to each other those in a row of which most neighbours share a text, and how many do."""
    best: dict[int, tuple[int, tuple[int, ...]]] = {}

    def longest(one: int) -> tuple[int, tuple[int, ...]]:
        if one not in best:
            best[one] = (0, (one,))
            for other in range(loops):
                if other != one and leads(one, other):
                    degree, chain = longest(other)
                    degree += (one, other) in shares
                    best[one] = max(best[one], (degree, (one, *chain)), key=lambda found: found[0])
        return best[one]

    return max(map(longest, range(loops)), default=(0, ()), key=lambda found: found[0])
