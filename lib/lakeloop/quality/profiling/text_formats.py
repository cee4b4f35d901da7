r"""What a text may be: an address, a number, a time. Each has a cheap condition before its regular expression.

These tell how many values look like something. Whether a value *is* right is what rules say, as `is_iban` with its
check digits; so a rule that is proposed for a likeness is judged before anybody takes it.
"""

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

PII_FORMATS = ("email", "phone", "iban")


def _email(text: Column) -> Column:
    return text.contains("@") & text.rlike(r"\A[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\z")


def _phone(text: Column) -> Column:
    # A number of digits alone may be anything: a plus, a leading 00 or a separator must say that it is dialled.
    may_be = F.char_length(text).between(8, 20) & F.substring(text, 1, 1).isin("+", "0", "(")
    digits = F.char_length(F.regexp_replace(text, "[^0-9]", "")).between(7, 15)
    written = text.rlike(r"\A(\+|00)[1-9][0-9 ()./-]+\z") | text.rlike(r"\A\(?0[0-9]{1,5}\)?[ /-][0-9][0-9 /-]+\z")
    return may_be & written & digits


def _iban(text: Column) -> Column:
    return F.char_length(text).between(15, 42) & text.rlike(r"\A[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{1,4}){3,8}\z")


def _uuid(text: Column) -> Column:
    return (F.char_length(text) == 36) & text.rlike(r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z")


def _url(text: Column) -> Column:
    return text.contains("://") & text.rlike(r"\A(https?|ftp)://[^\s/]+\.?[^\s]*\z")


def _ip(text: Column) -> Column:
    part = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
    return F.char_length(text).between(7, 15) & text.rlike(rf"\A{part}(\.{part}){{3}}\z")


def _json(text: Column) -> Column:
    whole = F.get_json_object(text, "$").isNotNull()
    return F.substring(text, 1, 1).isin("{", "[") & whole


def _date(text: Column) -> Column:
    written = (F.char_length(text) == 10) & text.rlike(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z")
    return written & F.try_to_timestamp(text, F.lit("yyyy-MM-dd")).isNotNull()


def _timestamp(text: Column) -> Column:
    whole = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?\z"
    return F.char_length(text).between(16, 35) & text.rlike(whole)


def _number(text: Column) -> Column:
    return text.rlike(r"\A[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\z")


def _integer(text: Column) -> Column:
    return text.rlike(r"\A(0|[+-]?[1-9][0-9]{0,17})\z")


FORMATS: Mapping[str, Callable[[Column], Column]] = {
    "email": _email,
    "phone": _phone,
    "iban": _iban,
    "uuid": _uuid,
    "url": _url,
    "ip": _ip,
    "json": _json,
    "date": _date,
    "timestamp": _timestamp,
    "number": _number,
    "integer": _integer,
}
"""How to tell each likeness from a text column; NULL gives NULL."""
