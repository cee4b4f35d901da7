r"""The shape of a text, `AB-1207` as `AA-9999`, and a regular expression from the shapes that a column has.

A shape has `A` for A–Z, `a` for a–z and `9` for 0–9; every other character stands for itself.
"""

import re
from collections.abc import Iterable
from itertools import groupby

from pyspark.sql import Column
from pyspark.sql import functions as F

LONGEST = 40
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": r"[0-9]"}
MOST_FORMS = 3
PLAIN = re.compile(r"[A-Za-z0-9 _:/@,;#%=<>~&!'\"-]")

Run = tuple[str, int]


def shape_of(text: Column) -> Column:
    """The shape of a text of at most 40 characters; NULL for a longer one and for NULL."""
    classes = "A" * 26 + "a" * 26 + "9" * 10
    shape = F.translate(text, LETTERS + LETTERS.lower() + "0123456789", classes)
    return F.when(F.char_length(text) <= LONGEST, shape)


def pattern_of(shapes: Iterable[str]) -> str | None:
    """A Java regular expression for exactly these shapes, where they are those of a code; else None.

    Shapes that differ only in how often a class repeats become one form: `A9` and `A999` are `[A-Z][0-9]{1,3}`. A code
    has at most three forms, a digit or a capital in each, no blank beside letters, and no run of letters whose length
    varies: that is how words look.
    """
    forms: dict[tuple[str, ...], list[list[Run]]] = {}
    for shape in shapes:
        runs = _runs(shape)
        forms.setdefault(tuple(character for character, _ in runs), []).append(runs)
    if not 0 < len(forms) <= MOST_FORMS or not all(_is_code(form, found) for form, found in forms.items()):
        return None
    written = ["".join(map(_repeated, form, _lengths(found))) for form, found in sorted(forms.items())]
    return "|".join(written)


def _runs(shape: str) -> list[Run]:
    return [(character, len(list(same))) for character, same in groupby(shape)]


def _lengths(found: list[list[Run]]) -> list[tuple[int, int]]:
    return [(min(length for _, length in at), max(length for _, length in at)) for at in zip(*found, strict=True)]


def _is_code(form: tuple[str, ...], found: list[list[Run]]) -> bool:
    if (
        (" " in form and {"A", "a"} & set(form))
        or not {"9", "A"} & set(form)
        or any(ord(character) > 126 for character in form)
    ):
        return False
    lengths = dict(zip(enumerate(form), _lengths(found), strict=True))
    varies = any(low != high for (_, character), (low, high) in lengths.items() if character in "Aa")
    return not varies and (len(form) > 1 or form == ("9",) or len(found) == 1)


def _repeated(character: str, lengths: tuple[int, int]) -> str:
    low, high = lengths
    written = CLASSES.get(character) or (character if PLAIN.fullmatch(character) else f"\\{character}")
    if low != high:
        return f"{written}{{{low},{high}}}"
    return written if low == 1 else f"{written}{{{low}}}"
