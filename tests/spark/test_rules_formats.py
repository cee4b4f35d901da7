"""Row rules on formats and check digits, by texts whose verdict is known by hand or from the standard."""

import ipaddress
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.provisional import urls
from pyspark.sql import Column, SparkSession

from lakeloop.quality.regular_expressions import checked
from lakeloop.quality.row_rules import check_digits, formats
from lakeloop.quality.row_rules.check_digits import has_check_digit, is_iban
from lakeloop.quality.row_rules.formats import is_email, is_ip, is_json, is_phone, is_url, is_uuid
from tests.verdicts import messages, violating

UUID = "123e4567-e89b-12d3-a456-426614174000"
X = "x"
CASES: list[tuple[str, Callable[[], Column], list[str], list[str]]] = [
    (
        "email",
        partial(is_email, "a"),
        ["a@b.org", "a+b@x.co.uk", "o'neil@b.museum", f"{X * 64}@b.org", f"a@{X * 63}.de", "a@b.xn--p1ai", "1@2.de"],
        [
            *("", "a@b", " a@b.org", "a@b.org ", "a..b@c.de", ".a@b.de", "a.@b.de", "a@-b.de", "a@b-.de", "a@b.c"),
            *("a@b.123", "é@b.de", "a@é.de", "a b@c.de", '"a b"@c.de', "a@[1.2.3.4]", "a@@b.de", "@b.de", "a@"),
            *(f"{X * 65}@b.org", f"a@{X * 64}.de", f"a@{'.'.join([X * 60] * 4)}.{X * 20}", "a,b@c.de", "a@b..de"),
        ],
    ),
    ("phone", partial(is_phone, "a"), ["+4930123456", "+1234567", "+123456789012345"],
     ["", "0049301234", "+123456", "+1234567890123456", "+0123456789", "+49 30 123456", "4930123456", "+49٣0123456"]),
    ("phone of 49", partial(is_phone, "a", 49), ["+4930123456"], ["+4830123456", "+4", "+490"]),
    (
        "url",
        partial(is_url, "a"),
        [
            *("http://a", "HTTPS://a.b/c?d=e#f", "http://[::1]:80/", "http://a:65535", "http://u:p@h/%20", "http://a?x"),
            *("http://1.2.3.4/", "http://a.b./", "http://a/(x)/~y;z"),
        ],
        [
            *("", "ftp://a", "http://", "//a", "a.b", "http://a b", "http://a:65536", "http://h/%2", "http://é.de"),
            *("http://-a", "http://a_b", "http://[::1", "http://[1::2::3]", "javascript:alert(1)", "http://a/<b>"),
            *("http:a", 'http://a/"'),
        ],
    ),
    ("url of ftp", partial(is_url, "a", ["ftp", "s3+x"]), ["ftp://a", "S3+X://b/c"], ["http://a", "s33x://a"]),
    (
        "ip",
        partial(is_ip, "a"),
        ["1.2.3.4", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4"],
        ["", "1.2.3.04", "256.1.1.1", "1.2.3", "1::2::3", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", ":", "::123ab"],
    ),
    ("ip 4", partial(is_ip, "a", 4), ["1.2.3.4"], ["::1", "::1.2.3.4"]),
    ("ip 6", partial(is_ip, "a", 6), ["::1", "::1.2.3.4", "2001:DB8::a"], ["1.2.3.4"]),
    ("uuid", partial(is_uuid, "a"), [UUID, UUID.upper()], ["", UUID.replace("-", ""), f"{{{UUID}}}", UUID[:-1]]),
    (
        "iban",
        partial(is_iban, "a"),
        [
            # Examples of the registry.
            *("DE89370400440532013000", "GB29NWBK60161331926819", "MT84MALT011000012345MTLCAST001S", "NO9386011117947"),
            *("FR1420041010050500013M02606", "SC18SSCB11010000000000001497USD", "LC55HEMM000100010012001200023015"),
            *("BR1800360305000010009795493C1", "CH9300762011623852957", "XK051212012345678906"),
        ],
        [
            *("DE89370400440532013001", "DE8937040044053201300", "DE893704004405320130000", "de89370400440532013000"),
            *("", "DE89 3704 0044 0532 0130 00", "ZZ893704004405320130", "XX00", "DE98370400440532013000", "MT84MALT"),
        ],
    ),
    (
        "luhn",
        partial(has_check_digit, "a", "luhn"),
        ["4111111111111111", "79927398713", "18", "6304000000000000000", "00"],
        ["", "4111111111111112", "79927398710", "0", "4111 1111 1111 1111", "٤٢", "81", "1" * 20],
    ),
    (
        "ean",
        partial(has_check_digit, "a", "ean"),
        ["4006381333931", "73513537", "036000291452", "00012345600012"],
        ["", "4006381333932", "400638133393", "735135370", "4006381339331"],
    ),
    (
        "isbn",
        partial(has_check_digit, "a", "isbn"),
        ["978-3-16-148410-0", "9783161484100", "0-306-40615-2", "0306406152", "080442957X"],
        ["", "0804429571", "9783161484101", "X804429570", "978--3161484100", "4006381333931", "080442957x"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "good", "bad"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_format_is_the_whole_text(
    spark: SparkSession, rule: Callable[[], Column], good: list[str], bad: list[str]
) -> None:
    around = [text for one in good for text in (f"{one}\n", f" {one}", f"{one}\r\n", f"{one}\u2028", f"{one} ")]
    assert violating(spark, "string", [None, *good, *bad, *around], rule()) == [*bad, *around]


JSON_GOOD = [
    *('{"a":1}', "[1,2]", "1", '"x"', "null", "true", "-1.5e3", '"x\\u00e9"', '{"a":{"b":[1,{"c":null}]}}'),
    *('{"a":1}\n', "[[[[1]]]]", " [ ] ", "{}", '{"a":1,"a":2}', '"a]b"', '"\U0001f600"'),
]  # fmt: skip
JSON_BAD = [
    *("", " ", '{"a":1} x', "{a:1}", "{'a':1}", "NaN", "Infinity", "[1,]", '{"a":1,}', "1,2", "1],[2", "01", '"\t"'),
    *("1 // x", "1 /* */", "[1] [2]", '{"a":}', '{"a" 1}', '"a"]', '{"a":1', "1]", "[", "\u00a01", "+1", ".5", "1."),
    *("tru", '"\\x"', '"lakeloop:end"', '1,"lakeloop:end"]', "'x'"),
]  # fmt: skip


def test_is_json_takes_one_whole_document(spark: SparkSession) -> None:
    assert violating(spark, "string", [None, *JSON_GOOD, *JSON_BAD], is_json("a")) == JSON_BAD
    assert messages(spark, "string", ["x"], is_json("a")) == ["a: found x, expected a JSON document"]


def test_is_json_with_keys_wants_an_object_that_has_them(spark: SparkSession) -> None:
    texts = ['{"a":null,"b":2}', None, '{"a":1}', '["a","b"]', "x", '{"x":{"a":1,"b":2}}', '{"a":1,"b":2} x']
    assert violating(spark, "string", texts, is_json("a", ["a", "b"])) == texts[2:]
    assert messages(spark, "string", ["{}"], is_json("a", ["a"])) == ["a: found {}, expected a JSON object with a"]


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DOCUMENTS, min_size=20, max_size=40))
def test_what_python_writes_is_json_and_a_part_of_it_is_not(spark: SparkSession, documents: list[Any]) -> None:
    texts = [json.dumps(document) for document in documents]
    assert violating(spark, "string", texts, is_json("a")) == []
    cut = [text[:-1] for text in texts if text[0] in '{["']
    assert violating(spark, "string", cut, is_json("a")) == cut


def in_python(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(r"\z", r"\Z"))


GROUP = st.sampled_from(["0", "1", "ab", "ffff", "12345", "", "g"])


@settings(max_examples=500)
@given(st.lists(GROUP, min_size=1, max_size=10).map(":".join) | st.ip_addresses(v=6).map(str))
def test_an_address_of_version_6_is_one_to_python_as_well(text: str) -> None:
    for written in (text, f"{text}:1.2.3.4", f"{text}.1"):
        try:
            ipaddress.IPv6Address(written)
            is_address = True
        except ValueError:
            is_address = False
        assert (in_python(formats.IPV6).fullmatch(written) is not None) is is_address, written


@given(st.ip_addresses(v=4).map(str) | st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){2,4}\Z"))
def test_an_address_of_version_4_is_one_to_python_as_well(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
        is_address = True
    except ValueError:
        is_address = False
    assert (in_python(formats.IPV4).fullmatch(text) is not None) is is_address


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(urls().map(lambda url: url.encode("ascii", "ignore").decode()), min_size=30, max_size=60))
def test_urls_of_the_standard_are_taken(spark: SparkSession, addresses: list[str]) -> None:
    assert violating(spark, "string", addresses, is_url("a")) == []


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_check_digits_are_those_that_the_definition_gives(spark: SparkSession, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.from_regex(r"\A[0-9]{12}\Z"), min_size=20, max_size=30))
    luhn = [number + digit for number in numbers for digit in "0123456789"]
    assert violating(spark, "string", luhn, has_check_digit("a", "luhn")) == [
        each for each in luhn if not by_luhn(each)
    ]
    assert violating(spark, "string", luhn, has_check_digit("a", "ean")) == [each for each in luhn if not by_ean(each)]
    banks = data.draw(st.lists(st.from_regex(r"\A[A-Z]{4}[0-9]{14}\Z"), min_size=20, max_size=30))
    ibans = [f"GB{check:02}{bank}" for bank in banks for check in (97, 98, 2, 50)]
    ibans += [f"GB{98 - by_97(f'GB00{bank}'):02}{bank}" for bank in banks]
    assert violating(spark, "string", ibans, is_iban("a")) == [each for each in ibans if by_97(each) != 1]


def by_luhn(number: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(each // 10 + each % 10 for each in doubled) % 10 == 0


def by_ean(number: str) -> bool:
    return sum(int(digit) * (1 + 2 * (place % 2)) for place, digit in enumerate(reversed(number))) % 10 == 0


def by_97(iban: str) -> int:
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97


def test_the_patterns_of_formats_are_none_that_hang() -> None:
    for pattern in (formats.EMAIL, formats.IPV4, formats.IPV6, formats.UUID, formats.PORT):
        assert checked(pattern) == pattern
    assert len(check_digits.IBANS.split()) == len({entry[:2] for entry in check_digits.IBANS.split()}) == 89
