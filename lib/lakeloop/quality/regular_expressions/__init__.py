r"""Regular expressions of rules, judged when they are declared, without a JVM.

Enters: a pattern in Java's syntax. Leaves: the same pattern, or a ValueError that says what Java would not compile, or
on which text it would be at work for longer than anybody waits.

What is not judged: whether Java knows a script or block (`\p{IsLatin}`, `\p{InGreek}`), and how much a text costs
where a look around or an anchor decides. The first fails in the run that uses it, by name.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from lakeloop.quality.regular_expressions.alphabets import Alphabet
from lakeloop.quality.regular_expressions.ambiguity import Ambiguity, Search
from lakeloop.quality.regular_expressions.automata import Automaton, automaton_of
from lakeloop.quality.regular_expressions.nodes import Atomic, Look, Node, Repeat
from lakeloop.quality.regular_expressions.syntax import Reader

LONGEST = 10_000  # characters of a pattern
HARMLESS = 2  # the square of a text's length is still quick; its cube is not, from a thousand characters on
ROUNDS = 30
REMEDY = (
    "let what is repeated begin or end with a character that nothing beside it takes, or keep what a repeat has taken: "
    "a++ in place of a+, or (?>…)"
)


def checked(pattern: str) -> str:
    """The pattern. Raises ValueError where Java would refuse it, or where it may take for ever."""
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern of more than {LONGEST} characters; for many words use is_in")
    reader = Reader(pattern)
    whole = reader.read()
    for part, ends_freely in _judged_alone(whole):
        if found := slowness(part, reader.alphabet, ends_freely=ends_freely):
            place, example, ways = found
            where = pattern[place[0] : place[1]]
            raise ValueError(f"`{where}` can take the same text in {ways}: on {example!r} it would not end; {REMEDY}")
    return pattern


def _judged_alone(whole: Node) -> Iterator[tuple[Node, bool]]:
    yield whole, False
    for node in whole.walk():
        if isinstance(node, Atomic | Look):
            yield node.body, True


def slowness(part: Node, alphabet: Alphabet, *, ends_freely: bool = False) -> tuple[tuple[int, int], str, str] | None:
    """Where a part is slow, a text on which it is, and how its ways grow; None where it is not."""
    automaton = automaton_of(part)
    search = Search(automaton, ends_freely=ends_freely)
    ambiguity = search.exponential()
    ways = "twice as many ways for every few characters more"
    if ambiguity is None:
        ambiguity = search.polynomial()
        if ambiguity is None or ambiguity.degree is None or ambiguity.degree <= HARMLESS:
            return None
        ways = f"as many ways as the power {ambiguity.degree} of its length"
    steps = ambiguity.steps(ROUNDS)
    end = refused_end(automaton, steps, alphabet)
    if end is None and not ends_freely:
        return None  # whatever follows, the pattern takes it, so nothing is tried twice
    text = spelled(steps, alphabet) + (end or "")
    place = _innermost(part, automaton, ambiguity, ends_freely=ends_freely)
    return place, text if len(text) <= 80 else f"{text[:60]}…{text[-10:]}", ways


def spelled(letters: tuple[int, ...], alphabet: Alphabet) -> str:
    """A text of these sets of letters, one of each."""
    return "".join(map(alphabet.first, letters))


def refused_end(automaton: Automaton, steps: tuple[int, ...], alphabet: Alphabet) -> str | None:
    """What to put behind the rounds so that the pattern does not take the whole: nothing, or one character."""
    first, *rest = steps
    places = {place for place in automaton.whole.first if automaton.letters[place] & first & -first}
    for letters in rest:
        places = _after(automaton, places, letters & -letters)
    last = set(automaton.whole.last)
    if not places & last:
        return ""
    ends = (place for place in range(len(alphabet.characters)) if not _after(automaton, places, 1 << place) & last)
    return next((alphabet.characters[place] for place in ends), None)


def _after(automaton: Automaton, places: set[int], letter: int) -> set[int]:
    return {
        target
        for place in places
        for target in automaton.edges.get(place, {})
        if automaton.letters_of(place, target) & letter
    }


def _innermost(part: Node, automaton: Automaton, ambiguity: Ambiguity, *, ends_freely: bool) -> tuple[int, int]:
    """The smallest repeat that is slow by itself, or from the first loop of a chain to the last."""
    spans = [automaton.spans[place] for place in ambiguity.places]
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    around = [node for node in part.walk() if isinstance(node, Repeat) and node.start <= start and node.end >= end]
    if ambiguity.degree is not None:
        loops = [node for node in part.walk() if isinstance(node, Repeat)]
        ends = [node.end for node in loops if node.start <= end - 1 < node.end]
        starts = [node.start for node in loops if node.start <= start < node.end]
        return min(starts, default=start), max(ends, default=end)
    for node in sorted(around, key=lambda node: node.end - node.start):
        if Search(automaton_of(node), ends_freely=ends_freely).exponential():
            return node.start, node.end
    return part.start, part.end


Pattern = Annotated[str, AfterValidator(checked)]
