"""What a regular expression consists of. Each part knows where it stands in the pattern."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Node:
    """A part of a pattern, from `start` to before `end`. As such it takes no character: an anchor, or nothing."""

    start: int
    end: int

    @property
    def parts(self) -> tuple["Node", ...]:
        """What it is made of."""
        return ()

    def walk(self) -> Iterator["Node"]:
        """It and all that it is made of."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, eq=False)
class Chars(Node):
    """One character of a set; `letters` are bits of an alphabet."""

    letters: int


@dataclass(frozen=True, eq=False)
class Sequence(Node):
    """One after the other."""

    items: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        """What it is made of."""
        return self.items


@dataclass(frozen=True, eq=False)
class Choice(Node):
    """One of them."""

    items: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        """What it is made of."""
        return self.items


@dataclass(frozen=True, eq=False)
class Repeat(Node):
    """From `least` to `most` times, `None` for any number."""

    body: Node
    least: int
    most: int | None

    @property
    def parts(self) -> tuple[Node, ...]:
        """What it is made of."""
        return (self.body,)


@dataclass(frozen=True, eq=False)
class Atomic(Node):
    """A part that, once it has matched, is not tried in another way: `(?>…)`, or a possessive repeat."""

    body: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        """What it is made of."""
        return (self.body,)


@dataclass(frozen=True, eq=False)
class Look(Node):
    """A look ahead or behind: takes nothing, and is not tried in another way either."""

    body: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        """What it is made of."""
        return (self.body,)


@dataclass(frozen=True, eq=False)
class Reference(Node):
    """The text that a group took."""

    group: Node | None


def longest(node: Node) -> int | None:
    """The most characters that a part takes, `None` where there is no limit."""
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Look) or not (node.parts or isinstance(node, Reference)):
        return 0
    if isinstance(node, Reference):
        return None
    lengths = [longest(part) for part in node.parts]
    known = [length for length in lengths if length is not None]
    if isinstance(node, Repeat):
        return 0 if known == [0] else known[0] * node.most if known and node.most is not None else None
    if len(known) < len(lengths):
        return None
    return max(known) if isinstance(node, Choice) else sum(known)
