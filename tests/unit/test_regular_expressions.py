"""Patterns of rules: Java's syntax is read without a JVM, and a pattern that may take for ever is refused.

Whether a refused pattern is really slow is told by a backtracking matcher of this test, which counts what it tries.
"""

import itertools
from collections.abc import Iterator
from re import _parser  # type: ignore[attr-defined]  # another reader of the same syntax
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.quality import Rule
from lakeloop.quality.regular_expressions import checked, refused_end, spelled
from lakeloop.quality.regular_expressions.ambiguity import Search
from lakeloop.quality.regular_expressions.automata import automaton_of
from lakeloop.quality.regular_expressions.syntax import Reader

EXPONENTIAL = [
    r"(a+)+$",
    r"(a|a)*",
    r"(a|aa)+",
    r"(.*)*",
    r"^(\d+)*$",
    r"(a*)*b",
    r"(x+x+)+y",
    r"(a|a?)+",
    r"((a?)*b?)*c",
    r"(\w+\s?)*",
    r"(\w|\d)+",
    r"(a|b|ab)*c",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@)[a-z0-9]+[.](([a-z]{2,3})|([a-z]{2,3}[.][a-z]{2,3}))",
    r"([a-zA-Z0-9_\-.]+)@(([a-z0-9]+\.?)*)+[a-z]{2,5}",
    r"(?i)(a|A)+",
    r"(a?){30}a{30}",
    r"(a|a){30}",
    r"(.*a){20}",
    r"(?:(?:a?)+b)*c",
    r"(?:a{1,3}b|aaab)*c",
]
POLYNOMIAL = [
    r".*error.*timeout.*host.*",
    r".*a.*b.*c.*d",
    r".*.*.*.*x",
    r"a*a*a*a*b",
    r"\s*\s*[a\s]*[b\s]*;",
    r"(.*),(.*),(.*),(.*)",
]
INNOCENT = [
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    r"[^\s@]+@[^\s@]+\.[^\s@]+",
    r"\d{4}-(?:0[1-9]|1[0-2])-\d{2}",
    r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}",
    r"https?://[^\s/]+(?:/[^\s]*)?",
    r"\+[1-9]\d{6,14}",
    r"(\d{1,3}\.){3}\d{1,3}",
    r"\d{16}\d{16}\d{16}\d{16}",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r".*foo.*bar.*",
    r"[^,]*(,[^,]*)*",
    r'"(?:[^"\\]|\\.)*"',
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}",
    r"\s*\S+\s*",
    r"[A-Z][a-z]+( [A-Z][a-z]+)*",
    r"#[0-9A-Fa-f]{6}",
    r"-?\d+(\.\d+)?([eE][+-]?\d+)?",
    r"(foo|bar|baz)+",
    r"[\w-]+(\.[\w-]+)*",
    r"(\w+,)*\w+",
    r"(?s)(.*)*",
    r"(ab?)*",
    r"[a-z]{1,20}[a-z]{1,20}[a-z]{1,20}[a-z]{1,20}",
    r"\$?\d{1,3}(,\d{3})*(\.\d\d)?",
    r"[0-9a-f]{128}[0-9a-f]{128}[0-9a-f]{128}[0-9a-f]{128}",
    r"(?i)yes|no",
]
OF_JAVA = [
    r"(a++)+",
    r"(?>a+)+b",
    r"(?:[^a]++|a)*+b",
    r"(?>.*?error)(?>.*?timeout)(?>.*?host).*",
    r"([A-Z]++-?)+[0-9]+",
    r"[a-z&&[^aeiou]]+",
    r"([a-z&&[^b]]|b)+c",
    r"(?i)x(?-i)(a|A)+b",
    r"\p{Lu}\p{L}*",
    r"\p{IsLatin}+|\P{InGreek}",
    r"(?<y>\d{4})/\k<y>\1",
    r"\Qa.b\E+",
    "(?x) a b # two letters\n",
    r"[]a]",
    r"(?<=\d{1,3})x",
    r"\x{1F600}\u0041\07\cA\R?\h\v",
    r"(?i-s:x)y",
    r"\N{LATIN SMALL LETTER A}\X",
    "",
]


def refusal(pattern: str) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        checked(pattern)
    return str(refused.value)


class TooManyError(Exception):
    """The matcher has tried as much as it may."""


class Matcher:
    """A backtracking matcher as Java's: alternatives in their order, a round that takes nothing ends its loop."""

    def __init__(self, pattern: str, most: int) -> None:
        self.items = list(_parser.parse(pattern))
        self.left = most
        self.most = most

    def tried(self, text: str) -> int:
        """How much is tried until the whole text is matched or refused; at most `most`."""
        self.left = self.most
        try:
            any(end == len(text) for end in self.row(self.items, text, 0))
        except TooManyError:
            return self.most
        return self.most - self.left

    def row(self, items: list[Any], text: str, at: int) -> Iterator[int]:
        if not items:
            yield at
            return
        for end in self.one(items[0], text, at):
            yield from self.row(items[1:], text, end)

    def one(self, item: Any, text: str, at: int) -> Iterator[int]:
        self.left -= 1
        if self.left <= 0:
            raise TooManyError
        kind, given = str(item[0]), item[1]
        if kind == "SUBPATTERN":
            yield from self.row(list(given[3]), text, at)
        elif kind == "BRANCH":
            for branch in given[1]:
                yield from self.row(list(branch), text, at)
        elif kind == "MAX_REPEAT":
            yield from self.rounds(given, text, at, 0)
        elif at < len(text) and self.takes(kind, given, text[at]):
            yield at + 1

    def rounds(self, given: Any, text: str, at: int, done: int) -> Iterator[int]:
        least, most, body = given
        if done < int(most):
            for end in self.row(list(body), text, at):
                if end > at or done < least:
                    yield from self.rounds(given, text, end, done + 1)
                else:
                    yield end
        if done >= least:
            yield at

    @staticmethod
    def takes(kind: str, given: Any, letter: str) -> bool:
        if kind == "LITERAL":
            return bool(given == ord(letter))
        if kind == "IN":
            return any(Matcher.takes(str(inner), value, letter) for inner, value in given)
        if kind == "RANGE":
            return bool(given[0] <= ord(letter) <= given[1])
        assert kind == "ANY", kind
        return letter != "\n"


def slow_text(pattern: str, rounds: int) -> str | None:
    """A text that a pattern is said to be exponential on; None if it is not."""
    reader = Reader(pattern)
    automaton = automaton_of(reader.read())
    found = Search(automaton, ends_freely=False).exponential()
    if found is None or (end := refused_end(automaton, found.steps(30), reader.alphabet)) is None:
        return None
    return spelled(found.steps(rounds), reader.alphabet) + end


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_pattern_whose_ways_double_is_refused(pattern: str) -> None:
    said = refusal(pattern)
    assert "can take the same text in twice as many ways for every few characters more: on '" in said
    assert "it would not end; let what is repeated begin or end with a character that nothing beside it takes" in said


@pytest.mark.parametrize("pattern", POLYNOMIAL)
def test_a_pattern_of_three_loops_too_many_is_refused(pattern: str) -> None:
    assert "as many ways as the power 3 of its length" in refusal(pattern)


def test_what_is_tried_grows_by_the_degree_that_is_told() -> None:
    reader = Reader(".*a.*b.*c.*d")
    automaton = automaton_of(reader.read())
    found = Search(automaton, ends_freely=False).polynomial()
    assert found is not None
    assert found.degree == 3
    end = refused_end(automaton, found.steps(30), reader.alphabet)
    assert end is not None
    texts = [spelled(found.steps(rounds), reader.alphabet) + end for rounds in (10, 20)]
    fewer, more = (Matcher(".*a.*b.*c.*d", 2_000_000).tried(text) for text in texts)
    assert 6 <= more / fewer <= 16, (fewer, more)  # twice the length takes eight times as long, and the scans more


@pytest.mark.parametrize("pattern", INNOCENT + OF_JAVA)
def test_an_innocent_pattern_is_accepted(pattern: str) -> None:
    assert checked(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", [r"(a+)+b", r"(a|a)*b", r"(a|aa)+b", r"(a*)*b", r"(x+x+)+y", r"(a|b|ab)*c", r"((a?)*b?)*c"]
)
def test_what_is_tried_doubles_with_every_round_of_the_example(pattern: str) -> None:
    texts = [slow_text(pattern, rounds) for rounds in (3, 4, 5, 6)]
    tried = [Matcher(pattern, 2_000_000).tried(text) for text in texts if text is not None]
    assert len(tried) == 4
    assert all(more >= 1.9 * less for less, more in itertools.pairwise(tried)), tried


LETTERS = st.sampled_from(["a", "b", "[ab]", "."])
PATTERNS = st.recursive(
    LETTERS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:({two[0]})|({two[1]}))"),  # groups, or Python makes one set
        st.tuples(inner, st.sampled_from(["*", "+", "?"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(PATTERNS)
def test_a_pattern_is_refused_if_and_only_if_it_is_slow(pattern: str) -> None:
    text = slow_text(pattern, 12)
    if text is not None:
        assert Matcher(pattern, 5_000).tried(text) >= 2**12, text
        return
    try:
        checked(pattern)
    except ValueError:
        return  # for a power of the length, which short texts do not show
    quick = Matcher(pattern, 300_000)
    for text in ("a" * 30 + "\n", "b" * 30 + "\n", "ab" * 15 + "\n", "aab" * 10 + "\n"):
        assert quick.tried(text) < 300_000, text


def test_the_message_names_the_part_an_example_and_the_remedy() -> None:
    assert refusal(r"id-(?:[a-z]+)*:\d+") == (
        "`(?:[a-z]+)*` can take the same text in twice as many ways for every few characters more: on "
        "'id-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' it would not end; let what is repeated begin or end with a character "
        "that nothing beside it takes, or keep what a repeat has taken: a++ in place of a+, or (?>…)"
    )


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        (r"(?>(a+)+b)c", "(a+)+b"),
        (r"x(?=(a+)+b)", "(a+)+b"),
        (r"((a|a)+b)*+", "((a|a)+b)*"),
        (r"(?:(?>a)|a)+b", "(?:(?>a)|a)+"),
    ],
)
def test_atomic_parts_and_looks_are_judged_by_themselves(inside: str, where: str) -> None:
    assert refusal(inside).startswith(f"`{where}` can take the same text")


def test_what_nothing_can_refuse_is_never_slow() -> None:
    assert checked(r"(?s)(.*)*") == r"(?s)(.*)*"
    assert refusal(r"(.*)*").count(r"\n' it would not end") == 1


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a**", r"nothing before * that it could repeat; write \* for the character (at character 3 of a**)"),
        ("+a", r"nothing before + that it could repeat"),
        ("a{", "after { stand numbers, as {2}, {2,} or {2,5}"),
        ("a{2,1}", "{2,1} is no range of numbers"),
        ("(a", "a group without its closing )"),
        ("a)", "a closing ) without its ("),
        ("[a", "a class of characters without its closing ]"),
        ("[z-a]", "z-a is no range of characters"),
        ("a\\", "a \\ at the end"),
        (r"\y", r"\y means nothing to Java"),
        ("(?P<a>x)", "Java writes a named group (?<name>…), without P"),
        ("(?<a>x)(?<a>y)", "two groups are called a"),
        (r"(a)\2", r"\2 refers to a group, and there are 1 before it"),
        (r"\k<x>", r"\k refers to a named group before it"),
        ("(?<=a+)b", "Java looks behind for a text of limited length only"),
        (r"\p{Latin}", "no kind of characters 'Latin'; "),
        (r"\p{gc=Xx}", "no category 'Xx'"),
        ("(?#c)a", "(?# is nothing that Java knows; flags are"),
        ("(?R)", "(?R is nothing that Java knows"),
        (r"\Qab", r"\Q without its \E"),
        ("(?x)a # b", "a comment that nothing ends"),
        ("a)|(b", "a closing ) without its ("),
        ("(" * 100 + ")" * 100, "more than 60 groups within each other"),
        ("[" * 100, "more than 60 classes within each other"),
        ("a" * 10_001, "a pattern of more than 10000 characters"),
        ("|".join(f"word{number}" for number in range(200)), "too long for anybody to say"),
    ],
)
def test_a_pattern_that_is_none_is_refused(pattern: str, said: str) -> None:
    assert said in refusal(pattern)


@pytest.mark.parametrize("kind", ["matches", "does_not_match"])
def test_a_rule_is_refused_with_its_pattern(kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate({kind: {"column": "a", "pattern": "(a+)+"}})
    (error,) = caught.value.errors()
    assert str(error["msg"]).startswith(f"{kind}: pattern: `(a+)+` can take the same text")
