r"""Reads classes of characters and escapes, as Java does: `[a-z&&[^aeiou]]`, `\p{L}`, `\x{1F600}`."""

import re
import unicodedata

from lakeloop.quality.regular_expressions.alphabets import LINE_ENDS, Alphabet

DEEPEST = 60  # groups, or classes, within each other
CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
COMMENT = re.compile(r"(?:[ \t\n\x0b\f\r]|#[^\n\r\x85\u2028\u2029]*)*")
OCTAL = re.compile("[0-3][0-7]{2}|[0-7]{1,2}")


class ClassReader:
    """A place in a pattern, the flags that hold there, and what is read one character or class at a time."""

    def __init__(self, pattern: str, alphabet: Alphabet) -> None:
        self.pattern = pattern
        self.alphabet = alphabet
        self.at = 0
        self.classes = 0  # that are open
        self.flags: frozenset[str] = frozenset()

    def wrong(self, what: str) -> ValueError:
        """The error about the place that is read."""
        return ValueError(f"{what} (at character {self.at + 1} of {self.pattern})")

    def peek(self) -> str:
        """The next character, or the empty text at the end; with flag x blanks and comments are passed over."""
        if "x" in self.flags:
            passed = COMMENT.match(self.pattern, self.at)
            assert passed is not None
            self.at = passed.end()
            if self.at == len(self.pattern) and "#" in re.split(f"[{LINE_ENDS}]", passed[0])[-1]:
                raise self.wrong("a comment that nothing ends; break the line behind it")
        return self.pattern[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        """Pass over a text if it stands here."""
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def cased(self, letters: int) -> int:
        """A set as the flags want it."""
        is_unicode = bool(self.flags & {"u", "U"})
        return self.alphabet.in_any_case(letters, is_unicode=is_unicode) if "i" in self.flags else letters

    def character_class(self) -> int:
        """The set of a class, from behind its [ to behind its ]."""
        start = self.at - 1
        self.classes += 1
        if self.classes > DEEPEST:
            raise self.wrong(f"more than {DEEPEST} classes within each other")
        is_rest = self.take("^")
        union, found, is_first = 0, self.alphabet.everything, True
        has_intersection = False
        while True:
            sign = self.peek()
            if not sign:
                self.at = start
                raise self.wrong("a class of characters without its closing ]")
            if sign == "]" and not is_first:
                self.at += 1
                break
            if self.take("&&"):
                while self.take("&"):
                    pass
                found, union, has_intersection, is_first = (found & union if not is_first else found), 0, True, False
                continue
            is_first = False
            union |= self._member(sign)
        self.classes -= 1
        letters = self.cased(found & union if has_intersection else union)
        return self.alphabet.everything & ~letters if is_rest else letters

    def _member(self, sign: str) -> int:
        if sign == "[":
            self.at += 1
            return self.character_class()
        if sign == "\\" and self.pattern.startswith("\\Q", self.at):
            end = self.pattern.find("\\E", self.at)
            if end < 0:
                raise self.wrong("\\Q without its \\E")
            text, self.at = self.pattern[self.at + 2 : end], end + 2
            return self.alphabet.of(text)
        start = self.at
        letters, one = self._one(sign)
        if one is None or self.peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in {"[", "]", ""}:
            return letters
        self.at += 1
        _, last = self._one(self.peek())
        if last is None or last < one:
            shown, self.at = self.pattern[start : self.at], start
            raise self.wrong(f"{shown} is no range of characters; write \\- for the character")
        return self.alphabet.between(one, last)

    def _one(self, sign: str) -> tuple[int, str | None]:
        if sign == "\\":
            return self.escaped()
        self.at += 1
        return self.alphabet.of(sign), sign

    def escaped(self) -> tuple[int, str | None]:
        """The set of an escape, and its character where it is one."""
        start = self.at
        sign = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if sign and sign in "dDwWsShHvV":
            return self.alphabet.short(sign, is_unicode="U" in self.flags), None
        if sign and sign in "pP":
            return self._property(start, is_rest=sign == "P"), None
        character = self._character(sign)
        if character is None:
            self.at = start
            raise self.wrong(f"\\{sign} means nothing to Java" if sign else "a \\ at the end; write \\\\ for it")
        return self.cased(self.alphabet.of(character)), character

    def _character(self, sign: str) -> str | None:
        if sign in CONTROLS:
            return CONTROLS[sign]
        if sign == "c" and self.at < len(self.pattern):
            self.at += 1
            return chr(ord(self.pattern[self.at - 1]) ^ 64)
        if sign == "0":
            octal = OCTAL.match(self.pattern, self.at)
            if octal is None:
                return None
            self.at = octal.end()
            return chr(int(octal[0], 8))
        if sign in {"x", "u"}:
            wanted = r"[0-9A-Fa-f]{2}|\{([0-9A-Fa-f]+)\}" if sign == "x" else "[0-9A-Fa-f]{4}"
            digits = re.compile(wanted).match(self.pattern, self.at)
            if digits is None or int(digits[0].strip("{}"), 16) > 0x10FFFF:
                return None
            self.at = digits.end()
            return chr(int(digits[0].strip("{}"), 16))
        if sign == "N":
            return self._by_name()
        return sign if sign and not (sign.isascii() and sign.isalnum()) else None

    def _by_name(self) -> str | None:
        name = re.compile(r"\{([^}]+)\}").match(self.pattern, self.at)
        if name is None:
            return None
        self.at = name.end()
        try:
            return unicodedata.lookup(name[1])
        except KeyError as error:
            raise self.wrong(f"no character is called {name[1]}") from error

    def _property(self, start: int, *, is_rest: bool) -> int:
        match = re.compile(r"\{([^{}]+)\}|([A-Za-z])").match(self.pattern, self.at)
        if match is None:
            raise self.wrong("behind \\p stands a kind of characters, as \\p{L}")
        self.at = match.end()
        try:
            found = self.alphabet.property(match[1] or match[2])
        except ValueError as error:
            self.at = start
            raise self.wrong(str(error)) from error
        return self.alphabet.everything & ~found if is_rest else found
