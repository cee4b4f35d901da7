"""Rules on texts of a known format. Each takes the whole text: a blank or a line break around it violates the rule."""

from typing import Annotated, Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_like, text_of, value_of, violated_when

Scheme = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]{0,30}$")]

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
EMAIL = (
    rf"(?=.{{1,254}}\z)(?=[^@]{{1,64}}@){ATOM}(?:\.{ATOM})*@(?:{LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])"
)
BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"{BYTE}(?:\.{BYTE}){{3}}"
HEX = r"[0-9A-Fa-f]{1,4}"
UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
PORT = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
# What may stand in a path: RFC 3986 without the separators / ? #, anything else as %XX.
PATH = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
END = "lakeloop:end"
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false", "mode": "PERMISSIVE"}


def _ipv6() -> str:
    """All forms of RFC 4291: eight groups, fewer around one `::`, the last two perhaps as an IPv4 address."""
    whole = [rf"(?:{HEX}:){{7}}{HEX}", rf"(?:{HEX}:){{6}}{IPV4}"]
    for before in range(8):
        head = rf"(?:{HEX}:){{{before}}}:" if before else "::"
        after = 7 - before  # groups that `::` leaves room for
        last = rf"(?:{HEX}:){{0,{after - 1}}}{HEX}" if after > 1 else HEX
        whole.append(rf"{head}(?:{last})?" if after else head)
        if after >= 2:
            whole.append(rf"{head}(?:{HEX}:){{0,{after - 2}}}{IPV4}")
    return "|".join(whole)


IPV6 = _ipv6()


def is_email(column: ColumnName) -> Column:
    """An address as mail on the internet uses them: RFC 5321 without quoted names, address literals and non-ASCII.

    At most 64 characters before the @ and 254 in all, a domain of at least two labels of which the last has two
    characters or more and begins with a letter. NULL holds.
    """
    return violated_when(~is_like(text_of(column), EMAIL), column, "an e-mail address")


def is_phone(column: ColumnName, country_code: Annotated[int, Field(ge=1, le=999)] | None = None) -> Column:
    """A telephone number as E.164 has it: +, 7 to 15 digits, no blanks; of a country where its code is given, as 49.

    Whether the number is in use, or of the right length for its country, is not looked at. NULL holds.
    """
    start = r"\+[1-9]" if country_code is None else rf"\+(?={country_code})[1-9]"
    expected = "a telephone number as +4930123456" if country_code is None else f"a telephone number of +{country_code}"
    return violated_when(~is_like(text_of(column), rf"{start}[0-9]{{6,14}}"), column, expected)


def is_url(
    column: ColumnName, schemes: Annotated[list[Scheme], Field(min_length=1)] = ["http", "https"],  # noqa: B006
) -> Column:  # fmt: skip
    """An absolute address with a host, of RFC 3986: scheme://host, then perhaps port, path, query and fragment.

    The scheme is one of `schemes`, in any case. Other characters than ASCII stand as %XX. The host is a name without
    underscores, an IPv4 address, or an IPv6 address in brackets. NULL holds.
    """
    scheme = "|".join(name.replace("+", r"\+").replace(".", r"\.") for name in schemes)
    host = rf"(?:{LABEL}(?:\.{LABEL})*\.?|\[(?:{IPV6})\])"
    user = r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*+@)?"
    rest = rf"(?:/(?:{PATH}|/)*+)?(?:\?(?:{PATH}|[/?])*+)?(?:#(?:{PATH}|[/?])*+)?"
    pattern = rf"(?i:{scheme})://{user}{host}(?::{PORT})?{rest}"
    return violated_when(~is_like(text_of(column), pattern), column, f"an address of {', '.join(schemes)}")


def is_ip(column: ColumnName, version: Literal[4, 6] | None = None) -> Column:
    """An IP address: of version 4 four numbers without leading zeros, of version 6 any form of RFC 4291.

    No prefix length, no port, no zone (`%eth0`). NULL holds.
    """
    pattern = {4: IPV4, 6: IPV6, None: f"{IPV4}|{IPV6}"}[version]
    return violated_when(~is_like(text_of(column), pattern), column, f"an IP{f'v{version}' if version else ''} address")


def is_uuid(column: ColumnName) -> Column:
    """A UUID of any version with its four hyphens, in either case, without braces. NULL holds."""
    return violated_when(~is_like(text_of(column), UUID), column, "a UUID")


def is_json(column: ColumnName, keys: Annotated[list[str], Field(min_length=1)] | None = None) -> Column:
    """One whole JSON document by RFC 8259, and nothing behind it; with `keys` an object that has all of these keys.

    A key whose value is `null` is there. Single quotes, NaN, comments and the empty text are no JSON. NULL holds. Spark
    compiles its readers of JSON into no stage, so this costs more than other rules.
    """
    text = text_of(column)
    # A reader stops behind the first document; in an array that a known end must close, the rest is seen.
    listed = F.from_json(F.concat(F.lit("["), text, F.lit(f'\n,"{END}"]')), "array<string>", STRICT)
    is_one = (F.slice(listed, 2, 2) == F.array(F.lit(END))) & ~text.contains(END)
    wrong = value_of(column).isNotNull() & ~F.coalesce(is_one, F.lit(False))
    if keys is None:
        return violated_when(wrong, column, "a JSON document")
    present = F.coalesce(F.json_object_keys(text), F.array())
    for key in keys:
        wrong = wrong | (value_of(column).isNotNull() & ~F.array_contains(present, key))
    return violated_when(wrong, column, f"a JSON object with {', '.join(keys)}")


RULES = (is_email, is_phone, is_url, is_ip, is_uuid, is_json)
