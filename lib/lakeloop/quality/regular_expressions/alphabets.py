"""Sets of characters over a sample of Unicode: those that a pattern names, their neighbours, and some of every kind.

Two sets that share a character of the sample do overlap. Two that share none may still overlap in rare characters.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from lakeloop.core.documents import propose

KINDS = "éÉßжЖ中あア한א٣²½ⅷ\xa0\x85\u2003\u2028\u2029\u3000“”–€©ªʰ\u0301\ufeff😀𝒜ǅ\u200d\u00ad\ue000"
HEX = re.compile(r"\\x([0-9A-Fa-f]{2})|\\x\{([0-9A-Fa-f]{1,6})\}|\\u([0-9A-Fa-f]{4})|\\0([0-7]{1,3})")
SPACES = " \t\n\x0b\f\r"
BLANKS = " \t\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
BREAKS = "\n\x0b\f\r\x85\u2028\u2029"
LINE_ENDS = "\n\r\x85\u2028\u2029"

CATEGORIES = (
    *("Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Me", "Mc", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"),
    *("Cs", "Pd", "Ps", "Pe", "Pc", "Po", "Sm", "Sc", "Sk", "So", "Pi", "Pf", "L", "M", "N", "Z", "C", "P", "S"),
)
POSIX: dict[str, Callable[[str], bool]] = {
    "Lower": lambda c: "a" <= c <= "z",
    "Upper": lambda c: "A" <= c <= "Z",
    "ASCII": lambda c: c < "\x80",
    "Alpha": lambda c: c < "\x80" and c.isalpha(),
    "Digit": lambda c: "0" <= c <= "9",
    "Alnum": lambda c: c < "\x80" and c.isalnum(),
    "Punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "Graph": lambda c: "!" <= c <= "~",
    "Print": lambda c: " " <= c <= "~",
    "Blank": lambda c: c in " \t",
    "Cntrl": lambda c: c < " " or c == "\x7f",
    "XDigit": lambda c: c in "0123456789abcdefABCDEF",
    "Space": lambda c: c in SPACES,
    "L1": lambda c: c < "\u0100",
    "all": lambda _: True,
    "LC": lambda c: unicodedata.category(c) in {"Lu", "Ll", "Lt"},
    "LD": lambda c: c.isalpha() or unicodedata.category(c) == "Nd",
    "javaLowerCase": str.islower,
    "javaUpperCase": str.isupper,
    "javaAlphabetic": str.isalpha,
    "javaTitleCase": lambda c: unicodedata.category(c) == "Lt",
    "javaDigit": lambda c: unicodedata.category(c) == "Nd",
    "javaLetter": str.isalpha,
    "javaLetterOrDigit": lambda c: c.isalpha() or unicodedata.category(c) == "Nd",
    "javaSpaceChar": lambda c: unicodedata.category(c)[0] == "Z",
    "javaWhitespace": lambda c: c.isspace() and c not in "\x85\xa0\u2007\u202f",
    "javaISOControl": lambda c: unicodedata.category(c) == "Cc",
}
BINARY: dict[str, Callable[[str], bool]] = {
    "ALPHABETIC": str.isalpha,
    "LETTER": str.isalpha,
    "LOWERCASE": str.islower,
    "UPPERCASE": str.isupper,
    "TITLECASE": lambda c: unicodedata.category(c) == "Lt",
    "PUNCTUATION": lambda c: unicodedata.category(c)[0] == "P",
    "CONTROL": lambda c: unicodedata.category(c) == "Cc",
    "WHITE_SPACE": str.isspace,
    "WHITESPACE": str.isspace,
    "DIGIT": lambda c: unicodedata.category(c) == "Nd",
    "ALNUM": lambda c: c.isalpha() or unicodedata.category(c) == "Nd",
    "WORD": lambda c: c.isalnum() or c == "_" or unicodedata.category(c)[0] == "M",
    "IDEOGRAPHIC": lambda c: "CJK" in unicodedata.name(c, ""),
    "ASSIGNED": lambda c: unicodedata.category(c) != "Cn",
}


class Alphabet:
    """The sample of characters for one pattern; a set of them is the bits of a number."""

    def __init__(self, pattern: str) -> None:
        named = {*pattern, *(chr(_code(match)) for match in HEX.finditer(pattern) if _code(match) < 0x110000)}
        near = {chr(ord(c) + step) for c in named if c >= "\x80" for step in (-1, 1) if 0 <= ord(c) + step < 0x110000}
        cases = {other for c in {*named, *near} for other in (c.lower(), c.upper()) if len(other) == 1}
        # What a person reads comes first, so that an example has letters rather than control characters.
        plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#"
        sample = dict.fromkeys([*plain, *map(chr, range(32, 127)), *map(chr, range(32)), "\x7f", *KINDS])
        self.characters = "".join(dict.fromkeys([*sample, *sorted({*named, *near, *cases})]))
        self.places = {character: place for place, character in enumerate(self.characters)}
        self.everything = (1 << len(self.characters)) - 1

    def where(self, holds: Callable[[str], bool]) -> int:
        """The set of the characters that this holds for."""
        return sum(1 << place for place, character in enumerate(self.characters) if holds(character))

    def of(self, characters: Iterable[str]) -> int:
        """The set of these, as far as the sample has them."""
        return sum(1 << self.places[character] for character in set(characters) if character in self.places)

    def between(self, first: str, last: str) -> int:
        """The set of a range."""
        return self.where(lambda c: first <= c <= last)

    def in_any_case(self, letters: int, *, is_unicode: bool) -> int:
        """The set with the other case of each."""
        found = [c for place, c in enumerate(self.characters) if letters >> place & 1 and (is_unicode or c < "\x80")]
        return letters | self.of(other for c in found for other in (c.lower(), c.upper()))

    def first(self, letters: int) -> str:
        """A character of a set that is not empty, one to read if there is one."""
        return self.characters[(letters & -letters).bit_length() - 1]

    def short(self, letter: str, *, is_unicode: bool) -> int:
        r"""The set of `\d`, `\w` and their like; a capital is the rest."""
        kinds: dict[str, Callable[[str], bool]] = {
            "d": BINARY["DIGIT"] if is_unicode else POSIX["Digit"],
            "w": BINARY["WORD"] if is_unicode else lambda c: c < "\x80" and (c.isalnum() or c == "_"),
            "s": str.isspace if is_unicode else lambda c: c in SPACES,
            "h": lambda c: c in BLANKS,
            "v": lambda c: c in BREAKS,
        }
        found = self.where(kinds[letter.lower()])
        return found if letter.islower() else self.everything & ~found

    def property(self, name: str) -> int:
        r"""The set of `\p{name}`. Raises ValueError for a name that Java has not; of scripts and blocks any will do."""
        key, _, value = name.partition("=")
        if value:
            if key.lower() in {"gc", "general_category"}:
                return self._category(value)
            if key.lower() in {"sc", "script", "blk", "block"}:
                return self._script(value)
            raise ValueError(f"no kind of characters '{key}='; Allowed: script=, block=, general_category=")
        if name in POSIX:
            return self.where(POSIX[name])
        if name in CATEGORIES:
            return self._category(name)
        if name.startswith("Is") and (plain := name[2:].upper()) in BINARY:
            return self.where(BINARY[plain])
        if name.startswith("Is") and name[2:] in {*CATEGORIES, "LC"}:
            return self._category(name[2:]) if name[2:] != "LC" else self.where(POSIX["LC"])
        if name.startswith(("Is", "In")) and len(name) > 3:
            return self._script(name[2:])
        raise ValueError(f"no kind of characters '{name}'; {propose(name, [*POSIX, *CATEGORIES, 'IsAlphabetic'])}")

    def _category(self, name: str) -> int:
        if name not in CATEGORIES:
            raise ValueError(f"no category '{name}'; {propose(name, list(CATEGORIES))}")
        return self.where(lambda c: unicodedata.category(c).startswith(name))

    def _script(self, name: str) -> int:
        start = {"HAN": "CJK", "HANGUL": "HANGUL"}.get(name.upper(), name.upper().replace("_", " "))
        return self.where(lambda c: unicodedata.name(c, "").startswith(start))


def _code(match: re.Match[str]) -> int:
    return int(match[4], 8) if match[4] else int(match[1] or match[2] or match[3], 16)
