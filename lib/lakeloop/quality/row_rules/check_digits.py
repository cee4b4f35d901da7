"""Numbers that prove themselves by a check digit."""

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_like, text_of, violated_when

# Country and length of its IBANs, from the registry of SWIFT.
IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30"
)
# A letter stands for two digits, from 10 for A to 35 for Z: it gets its tens before it, and then becomes its units.
LETTERS, UNITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "01234567890123456789012345"
TENS = {"A-J": 1, "K-T": 2, "U-Z": 3}
DOUBLED = "0246813579"  # at the place of a digit what it counts when doubled, the sum of its own digits

Method = Literal["luhn", "ean", "isbn"]


def is_iban(column: ColumnName) -> Column:
    """A bank account's IBAN: of the length of its country, and its check digits fit. NULL holds.

    In its electronic form, in capitals and without blanks; remove those of the printed form first.
    """
    text = text_of(column)
    country = F.concat(F.substring(text, 1, 2), F.length(text).cast("string"))
    has_form = is_like(text, r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}") & F.lit(IBANS).contains(country)
    moved = F.concat(F.substring(text, 5, 34), F.substring(text, 1, 4))
    tens = moved
    for letters, ten in TENS.items():
        tens = F.regexp_replace(tens, f"([{letters}])", f"{ten}$1")
    digits = F.lpad(F.translate(tens, LETTERS, UNITS), 68, "0")
    high, low = (F.substring(digits, start, 34).cast("decimal(38,0)") % 97 for start in (1, 35))
    remainder = (high * (10**34 % 97) + low) % 97
    return violated_when(~(has_form & F.when(has_form, remainder == 1)), column, "an IBAN")


def has_check_digit(column: ColumnName, method: Method) -> Column:
    """The last digit of a number fits those before it, by `luhn` (cards), `ean` (GTIN 8, 12, 13, 14) or `isbn`.

    `luhn` takes 2 to 19 digits without blanks. `isbn` takes ten digits, of which the last may be X, or thirteen that
    begin with 978 or 979, with single hyphens between them or without. NULL holds.
    """
    text = text_of(column)
    if method == "isbn":
        return violated_when(~_fits_isbn(text), column, "an ISBN")
    if method == "ean":
        is_code = is_like(text, "[0-9]{8}|[0-9]{12,14}")
        return violated_when(~(is_code & F.when(is_code, _fits_ean(text))), column, "a GTIN or EAN")
    is_number = is_like(text, "[0-9]{2,19}")
    padded = F.lpad(text, 20, "0")
    doubled = (_digit_of(F.lit(DOUBLED).substr(_digit(padded, place) + 1, F.lit(1))) for place in range(1, 20, 2))
    total = reduce(operator.add, doubled) + _weighted(padded, [0, 1] * 10)
    return violated_when(~(is_number & F.when(is_number, total % 10 == 0)), column, "a number with a Luhn digit")


def _fits_ean(text: Column) -> Column:
    return _weighted(F.lpad(text, 14, "0"), [3, 1] * 7) % 10 == 0


def _fits_isbn(text: Column) -> Column:
    has_form = is_like(text, r"[0-9](?:-?[0-9]){8}-?[0-9X]|97[89](?:-?[0-9]){10}")
    plain = F.replace(text, F.lit("-"), F.lit(""))
    last = F.when(F.substring(plain, 10, 1) == "X", 10).otherwise(_digit(plain, 10))
    fits_ten = (_weighted(plain, list(range(10, 1, -1))) + last) % 11 == 0
    return has_form & F.when(has_form, F.when(F.length(plain) == 10, fits_ten).otherwise(_fits_ean(plain)))


def _digit(text: Column, place: int) -> Column:
    return _digit_of(F.substring(text, place, 1))


def _digit_of(character: Column) -> Column:
    return F.ascii(character) - ord("0")


def _weighted(text: Column, weights: Sequence[int]) -> Column:
    """The sum of the digits of a text, each times its weight. Not a loop of Spark's, which no stage compiles."""
    terms = (_digit(text, place) * weight for place, weight in enumerate(weights, 1) if weight)
    return reduce(operator.add, terms)


RULES = (is_iban, has_check_digit)
