"""Reads regular expressions as `java.util.regex` of Java 17 does, without a JVM."""

import re
from collections.abc import Callable
from functools import partial

from lakeloop.quality.regular_expressions.alphabets import LINE_ENDS, Alphabet
from lakeloop.quality.regular_expressions.classes import DEEPEST, ClassReader
from lakeloop.quality.regular_expressions.nodes import (
    Atomic,
    Chars,
    Choice,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
    longest,
)

GROUP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
BOUNDS = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")
FLAGS = "idmsuxU"
MOST = 2**31 - 1


class Reader(ClassReader):
    """One pattern, read from left to right."""

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern, Alphabet(pattern))
        self.groups: list[Node | None] = [None]
        self.names: dict[str, int] = {}
        self.depth = 0

    def read(self) -> Node:
        """The whole pattern. Raises ValueError that says what is wrong and where."""
        node = self._choice()
        if self.at < len(self.pattern):
            raise self.wrong("a closing ) without its (; write \\) for the character")
        return node

    def _choice(self) -> Node:
        start, flags = self.at, self.flags
        items = [self._sequence()]
        while self.peek() == "|":
            self.at += 1
            items.append(self._sequence())
        self.flags = flags
        return items[0] if len(items) == 1 else Choice(start, self.at, tuple(items))

    def _sequence(self) -> Node:
        start, items = self.at, list[Node]()
        while (sign := self.peek()) not in {"", "|", ")"}:
            if sign in "*+?":
                raise self.wrong(f"nothing before {sign} that it could repeat; write \\{sign} for the character")
            if sign == "{":
                raise self.wrong("nothing before { that it could repeat; write \\{ for the character")
            item = self._atom()
            are_flags = type(item) is Node and self.pattern[item.start] == "("
            items.append(item if are_flags else self._repeated(item))
        return items[0] if len(items) == 1 else Sequence(start, self.at, tuple(items))

    def _repeated(self, body: Node) -> Node:
        sign = self.peek()
        if not sign or sign not in "*+?{":
            return body
        if sign == "{":
            match = BOUNDS.match(self.pattern, self.at)
            if match is None:
                raise self.wrong("after { stand numbers, as {2}, {2,} or {2,5}; write \\{ for the character")
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
            if least > (MOST if most is None else most) or (most or 0) > MOST:
                raise self.wrong(f"{match[0]} is no range of numbers that Java takes")
            self.at = match.end()
        else:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
            self.at += 1
        repeat = Repeat(body.start, self.at, body, least, most)
        if (sign := self.peek()) and sign in "?+":
            self.at += 1
            if sign == "+":
                return Atomic(body.start, self.at, repeat)
        return repeat

    def _atom(self) -> Node:
        start, sign = self.at, self.peek()
        if sign == "(":
            return self._group()
        if sign == "[":
            self.at += 1
            letters = self.character_class()
            return Chars(start, self.at, letters)
        if sign == "\\":
            return self._escape()
        self.at += 1
        if sign in "^$":
            return Node(start, self.at)
        if sign == ".":
            ends = "\n" if "d" in self.flags else LINE_ENDS
            taken = self.alphabet.everything if "s" in self.flags else ~self.alphabet.of(ends)
            return Chars(start, self.at, taken & self.alphabet.everything)
        return Chars(start, self.at, self.cased(self.alphabet.of(sign)))

    def _group(self) -> Node:
        start, flags = self.at, self.flags
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"more than {DEEPEST} groups within each other")
        self.at += 1
        kind: Callable[[Node], Node] = partial(_plain, start)
        if self.take("?"):
            kind, number = self._kind(start, kind)
            if kind is _no_group:
                self.depth -= 1
                return Node(start, self.at)
        else:
            number = len(self.groups)
            self.groups.append(None)
        body = self._choice()
        if not self.take(")"):
            self.at = start
            raise self.wrong("a group without its closing )")
        self.depth -= 1
        self.flags = flags
        node = kind(body)
        if number:
            self.groups[number] = node
        return node

    def _kind(self, start: int, plain: Callable[[Node], Node]) -> tuple[Callable[[Node], Node], int]:
        for sign, makes in (
            (":", plain),
            (">", lambda inner: Atomic(start, self.at, inner)),
            ("=", lambda inner: Look(start, self.at, inner)),
            ("!", lambda inner: Look(start, self.at, inner)),
            ("<=", self._behind(start)),
            ("<!", self._behind(start)),
        ):
            if self.take(sign):
                return makes, 0
        if self.take("<"):
            name = GROUP_NAME.match(self.pattern, self.at)
            if name is None or self.pattern[name.end() : name.end() + 1] != ">":
                raise self.wrong("the name of a group has letters and digits, as (?<year>…)")
            if name[0] in self.names:
                raise self.wrong(f"two groups are called {name[0]}")
            self.at = name.end() + 1
            self.names[name[0]] = len(self.groups)
            self.groups.append(None)
            return plain, len(self.groups) - 1
        if self.peek() == "P":
            raise self.wrong("Java writes a named group (?<name>…), without P")
        return self._change_flags(plain)

    def _change_flags(self, plain: Callable[[Node], Node]) -> tuple[Callable[[Node], Node], int]:
        is_on, flags = True, set(self.flags)
        while (sign := self.pattern[self.at : self.at + 1]) not in {":", ")"}:
            if sign == "-" and is_on:
                is_on = False
            elif not sign or sign not in FLAGS:
                raise self.wrong(f"(?{sign} is nothing that Java knows; flags are {', '.join(FLAGS)}")
            else:
                flags = flags | {sign} if is_on else flags - {sign}
            self.at += 1
        self.at += 1
        self.flags = frozenset(flags)
        return (plain, 0) if sign == ":" else (_no_group, 0)

    def _behind(self, start: int) -> Callable[[Node], Node]:
        def look(inner: Node) -> Node:
            if longest(inner) is None:
                self.at = start
                raise self.wrong("Java looks behind for a text of limited length only; write {0,9} in place of * or +")
            return Look(start, self.at, inner)

        return look

    def _escape(self) -> Node:
        start, sign = self.at, self.pattern[self.at + 1 : self.at + 2]
        if sign == "Q":
            end = self.pattern.find("\\E", self.at)
            if end < 0:
                raise self.wrong("\\Q without its \\E")
            text = self.pattern[self.at + 2 : end]
            items = [
                Chars(start + 2 + place, start + 3 + place, self.cased(self.alphabet.of(character)))
                for place, character in enumerate(text)
            ]
            self.at = end + 2
            return self._quoted(start, items)
        if sign.isdigit() and sign != "0":
            return self._reference()
        if sign == "k":
            return self._named_reference()
        self.at += 2
        if sign == "b" and self.take("{g}"):
            return Node(start, self.at)
        if sign and sign in "AbBGzZ":
            return Node(start, self.at)
        if sign == "R":
            both = (Chars(start, self.at, self.alphabet.of("\r")), Chars(start, self.at, self.alphabet.of("\n")))
            one = Chars(start, self.at, self.alphabet.short("v", is_unicode=False))
            return Choice(start, self.at, (Sequence(start, self.at, both), one))
        if sign == "X":
            return Chars(start, self.at, self.alphabet.everything)
        self.at = start
        letters, _ = self.escaped()
        return Chars(start, self.at, letters)

    def _quoted(self, start: int, items: list[Chars]) -> Node:
        if not items or not (sign := self.peek()) or sign not in "*+?{":
            return Sequence(start, self.at, tuple(items))
        return Sequence(start, self.at, (*items[:-1], self._repeated(items[-1])))  # a sign repeats the last of them

    def _reference(self) -> Node:
        start, digits = self.at, re.compile("[0-9]+").match(self.pattern, self.at + 1)
        assert digits is not None
        length = 1
        while length < len(digits[0]) and int(digits[0][: length + 1]) < len(self.groups):
            length += 1
        number = int(digits[0][:length])
        if number >= len(self.groups):
            raise self.wrong(f"\\{number} refers to a group, and there are {len(self.groups) - 1} before it")
        self.at += 1 + length
        return Reference(start, self.at, self.groups[number])

    def _named_reference(self) -> Node:
        start = self.at
        match = re.compile(r"\\k<([A-Za-z][A-Za-z0-9]*)>").match(self.pattern, self.at)
        if match is None or match[1] not in self.names:
            raise self.wrong(f"\\k refers to a named group before it, as \\k<name>; there are {list(self.names)}")
        self.at = match.end()
        return Reference(start, self.at, self.groups[self.names[match[1]]])


def _plain(start: int, inner: Node) -> Node:
    return Sequence(start, inner.end + 1, (inner,))


def _no_group(inner: Node) -> Node:
    """What stands for flags that hold from here on: they make no group."""
    return inner
