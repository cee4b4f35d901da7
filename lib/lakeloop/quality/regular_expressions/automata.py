"""The automaton of a pattern: positions that take a character, and in how many ways one follows another.

After Glushkov, with numbers in place of yes and no: where a backtracking matcher has two ways from a character to the
next one, an edge counts two. Numbers above two do not matter and are not kept.
"""

from collections import defaultdict
from collections.abc import Sequence as Listing
from dataclasses import dataclass, field

from lakeloop.quality.regular_expressions.nodes import (
    Atomic,
    Chars,
    Choice,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
)

COPIES = (12, 4, 2, 1)  # of what is repeated a given number of times; beyond, a loop stands for more
POSITIONS = 400
LARGE = 64  # rounds of a loop that count as any number


class TooLargeError(ValueError):
    """A pattern of so many positions that nobody can say what it does."""


@dataclass
class Fragment:
    """A part: the ways to take nothing, and its first and last positions with their ways."""

    empty: int = 0
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)


@dataclass
class Automaton:
    """Positions with the letters that each takes and where it stands; edges with their ways and letters."""

    letters: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    regions: list[Node | None] = field(default_factory=list)  # the outermost atomic part around a position
    bounded: list[bool] = field(default_factory=list)  # whether the loop around it ends after few rounds
    edges: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    leaves: dict[int, int] = field(default_factory=dict)  # letters with which an atomic part goes on, so is not left
    whole: Fragment = field(default_factory=Fragment)

    def letters_of(self, source: int, target: int) -> int:
        """The letters that lead from one position to another."""
        taken = self.letters[target]
        if self.regions[source] is not None and self.regions[source] is not self.regions[target]:
            taken &= ~self.leaves.get(source, 0)
        return taken


def automaton_of(node: Node) -> Automaton:
    """The automaton of a part. Raises TooLargeError where it would have more than 400 positions."""
    for copies in COPIES:
        if _size(node, copies) <= POSITIONS:
            return _Builder(copies).build(node)
    raise TooLargeError("the pattern is too long for anybody to say how long it takes; for many words use is_in")


def _rounds(repeat: Repeat, copies: int) -> tuple[int, int]:
    least = min(repeat.least, copies)
    optional = 0 if repeat.most is None or repeat.most > copies else repeat.most - repeat.least
    return least, optional


def _size(node: Node, copies: int) -> int:
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Look):
        return 0
    if isinstance(node, Reference):
        return _size(node.group, copies) if node.group is not None else 0
    total = sum(_size(part, copies) for part in node.parts)
    if isinstance(node, Repeat):
        least, optional = _rounds(node, copies)
        return total * max(1, least + optional)
    return total


def is_fixed(node: Node) -> bool:
    """Whether a part takes its characters in one way only: a row of sets of characters."""
    return isinstance(node, Chars) or (isinstance(node, Sequence) and all(map(is_fixed, node.items)))


class _Builder:
    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.made = Automaton()
        self.region: Node | None = None
        self.is_bounded = False
        self.referred: set[Node] = set()

    def build(self, node: Node) -> Automaton:
        self.made.whole = self.part(node)
        return self.made

    def part(self, node: Node) -> Fragment:
        if isinstance(node, Chars):
            return self.position(node)
        if isinstance(node, Sequence):
            return self.row([self.part(item) for item in node.items])
        if isinstance(node, Choice):
            return self.choice([self.part(item) for item in node.items])
        if isinstance(node, Repeat):
            return self.repeat(node)
        if isinstance(node, Atomic):
            return self.atomic(node)
        if isinstance(node, Reference) and node.group is not None and node.group not in self.referred:
            self.referred.add(node.group)
            found = self.part(node.group)
            self.referred.discard(node.group)
            return found
        return Fragment(empty=1)

    def position(self, node: Chars) -> Fragment:
        place = len(self.made.letters)
        self.made.letters.append(node.letters)
        self.made.spans.append((node.start, node.end))
        self.made.regions.append(self.region)
        self.made.bounded.append(self.is_bounded)
        return Fragment(0, {place: 1}, {place: 1})

    def join(self, left: Fragment, right: Fragment, ways: int = 1) -> None:
        for source, before in left.last.items():
            for target, after in right.first.items():
                edges = self.made.edges[source]
                edges[target] = min(2, edges.get(target, 0) + before * after * ways)

    def row(self, parts: Listing[Fragment]) -> Fragment:
        whole = Fragment(empty=1)
        for part in parts:
            self.join(whole, part)
            first = _added(whole.first, part.first, whole.empty)
            whole = Fragment(min(2, whole.empty * part.empty), first, _added(part.last, whole.last, part.empty))
        return whole

    def choice(self, parts: Listing[Fragment]) -> Fragment:
        whole = Fragment()
        for part in parts:
            first, last = _added(whole.first, part.first), _added(whole.last, part.last)
            whole = Fragment(min(2, whole.empty + part.empty), first, last)
        return whole

    def repeat(self, node: Repeat) -> Fragment:
        if node.most == 0:
            return Fragment(empty=1)
        least, optional = _rounds(node, self.copies)
        is_loop = node.most is None or node.most > self.copies
        if is_loop and node.most == node.least and is_fixed(node.body):
            return self.row([self.part(node.body) for _ in range(least)])  # a number of rounds that is no choice
        if not is_loop:
            whole = Fragment(empty=1)
            for _ in range(optional):
                part = self.row([self.part(node.body), whole])
                whole = Fragment(min(2, part.empty + 1), part.first, part.last)
            return self.row([*(self.part(node.body) for _ in range(least)), whole])
        outer, self.is_bounded = self.is_bounded, node.most is not None and node.most <= LARGE
        before = [self.part(node.body) for _ in range(least - 1)]
        body = self.part(node.body)
        self.is_bounded = outer
        # Rounds that must be made may take nothing, so that which of them take something is a choice of its own.
        self.join(body, body, 2 if body.empty and node.least > self.copies else 1)
        last = {place: min(2, ways * (1 + body.empty)) for place, ways in body.last.items()}
        return self.row([*before, Fragment(min(2, body.empty + (node.least == 0)), body.first, last)])

    def atomic(self, node: Atomic) -> Fragment:
        outer, self.region = self.region, self.region or node
        start = len(self.made.letters)
        part = self.part(node.body)
        self.region = outer
        for place in part.last:
            inner = (self.made.letters[target] for target in self.made.edges[place] if target >= start)
            letters = 0
            for each in inner:
                letters |= each
            self.made.leaves[place] = self.made.leaves.get(place, 0) | letters
        once = dict.fromkeys(part.first, 1), dict.fromkeys(part.last, 1)
        return Fragment(min(1, part.empty), *once)


def _added(left: dict[int, int], right: dict[int, int], ways: int = 1) -> dict[int, int]:
    if not ways:
        return left
    return left | {place: min(2, left.get(place, 0) + count * ways) for place, count in right.items()}
