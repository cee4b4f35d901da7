"""Rules on texts that write a day, a moment or a time zone, exactly. Spark's lenient parsers have no say."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_like, is_of_type, text_of, value_of, violated_when
from lakeloop.quality.row_rules.times import OFFSET

PARTS = {
    "yyyy": "(?!0000)[0-9]{4}",
    "MM": "0[1-9]|1[0-2]",
    "M": "1[0-2]|[1-9]",
    "dd": "0[1-9]|[12][0-9]|3[01]",
    "d": "[12][0-9]|3[01]|[1-9]",
    "HH": "[01][0-9]|2[0-3]",
    "H": "1[0-9]|2[0-3]|[0-9]",
    "mm": "[0-5][0-9]",
    "ss": "[0-5][0-9]",
    **{"S" * digits: f"[0-9]{{{digits}}}" for digits in range(1, 7)},
    "XXX": OFFSET,
}
RUN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|(.)", re.DOTALL)
OFFSETS = r"Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00"
ISO = "yyyy-MM-dd"
SECONDS = rf"(?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?(?:{OFFSET})?"
SHORT_MONTHS = "0?2/3[01]|(?:0?[469]|11)/31"


def _runs(text: str) -> list[tuple[str, str]]:
    """Parts of a format and the texts between them: (part, "") or ("", text)."""
    found = []
    for run in RUN.finditer(text):
        if run[2]:
            found.append((run[0], ""))
        else:
            found.append(("", run[3] if run[1] is None else run[1].replace("''", "'") or "'"))
    return found


def _format(text: str, needed: tuple[str, ...], allowed: str) -> str:
    parts = [part for part, _ in _runs(text) if part]
    known = [part for part in PARTS if part[0] in allowed]
    for part in parts:
        if part not in known:
            raise ValueError(f"'{part}' in '{text}' is no part of this format; {propose(part, known)}")
    letters = [part[0] for part in parts]
    if repeated := sorted({letter for letter in letters if letters.count(letter) > 1}):
        raise ValueError(f"'{', '.join(repeated)}' stands twice in '{text}'; name each part once")
    if missing := [name for name in needed if name[0] not in letters]:
        raise ValueError(f"'{text}' leaves out {', '.join(missing)}")
    if len(re.sub("[^']", "", text)) % 2:
        raise ValueError(f"'{text}': a quote is not closed")
    return text


DateFormat = Annotated[str, AfterValidator(lambda text: _format(text, ("yyyy", "MM", "dd"), "yMd"))]
TimeFormat = Annotated[str, AfterValidator(lambda text: _format(text, ("yyyy", "MM", "dd", "HH"), "yMdHmsSX"))]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is no time zone; write a region and city, as Europe/Rome, or UTC") from error
    return name


Zone = Annotated[str, AfterValidator(_zone)]


def _pattern(format: str) -> str:
    return "".join(f"({PARTS[part]})" if part else re.escape(between) for part, between in _runs(format))


def _rewritten(text: Column, format: str, wanted: str) -> Column:
    """A text that has the format with its parts in the order of `wanted`, a text with a letter for each part."""
    places = {part[0]: place for place, part in enumerate((part for part, _ in _runs(format) if part), 1)}
    order = "".join(f"${places[letter]}" if letter in places else letter for letter in wanted)
    return F.regexp_replace(text, rf"\A{_pattern(format)}\z", order)


def _is_day(text: Column, format: str) -> Column:
    """Whether a text that has the format names a day of the calendar."""
    day = _rewritten(text, format, "y/M/d")
    year = F.substring(day, 1, 4).cast("int")
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return F.when(day.rlike(rf"/(?:{SHORT_MONTHS})\z"), False).when(day.rlike(r"/0?2/29\z"), is_leap).otherwise(True)


def is_date(column: ColumnName, format: DateFormat = ISO) -> Column:
    """A text is a day of the calendar in this format: 2023-02-29 is none. NULL holds, and so does every `date`.

    A format has yyyy, MM or M, dd or d, and other characters, letters among them between single quotes: `dd.MM.yyyy`.
    """
    text = text_of(column)
    has_form = is_like(text, _pattern(format))
    is_day = has_form & F.when(has_form, _is_day(text, format))
    return violated_when(~(is_of_type(column, "date") | is_day), column, f"a day as {format}")


def is_timestamp(column: ColumnName, format: TimeFormat | None = None, zone: Zone | None = None) -> Column:
    """A text is a moment in this format; by default of ISO 8601 with a day and a clock: 2024-03-31T02:30:00+01:00.

    By default T or a blank, seconds, their fraction and an offset may be there or not. A format has the parts of
    `is_date`, HH or H, and perhaps mm, ss, S to SSSSSS and XXX (offset). With `zone` a text without an offset must be
    a time that clocks there show: 2024-03-31 02:30 is none in Europe/Berlin. NULL holds, and so does every
    `timestamp`.
    """
    text = text_of(column)
    formats = [format] if format else [f"{ISO}{between}HH:mm" for between in ("'T'", " ")]
    has_form, is_moment, local = F.lit(False), F.lit(False), F.lit(None).cast("string")
    for one in formats:
        fits = is_like(text, _pattern(one) + ("" if format else SECONDS))
        head = text if format else F.substring(text, 1, 16)
        has_form = has_form | fits
        is_moment = F.when(fits, _is_day(head, one)).otherwise(is_moment)
        local = F.when(fits, _rewritten(head, one, _clock(one))).otherwise(local)
    right = has_form & is_moment
    has_offset = F.lit("XXX" in format) if format else text.rlike(rf"[0-9]{OFFSET}\z")
    if zone is not None:
        wall = F.when(right, local).cast("timestamp_ntz")
        in_utc = F.convert_timezone(F.lit(zone), F.lit("UTC"), wall)
        is_shown = F.convert_timezone(F.lit("UTC"), F.lit(zone), in_utc) == wall
        right = right & (has_offset | F.when(right, is_shown))
    typed = is_of_type(column, "timestamp", "timestamp_ntz")
    where = f" that clocks in {zone} show" if zone else ""
    wrong = value_of(column).isNotNull() & ~(typed | right)
    return violated_when(wrong, column, f"a time as {format or 'ISO 8601'}{where}")


def _clock(format: str) -> str:
    """The day and the clock of a format, as Spark reads them; the hour alone is a full one."""
    letters = {part[0] for part, _ in _runs(format) if part}
    return "y-M-dTH:" + ("m" if "m" in letters else "00") + (":s" if "s" in letters else "")


def is_time_zone(column: ColumnName) -> Column:
    """A time zone: a name of the IANA database, as Europe/Rome, case included, or an offset from -14:00 to +14:00 or Z.

    The names are those that Python knows where the rule is compiled. NULL holds.
    """
    text = text_of(column)
    return violated_when(~(text.isin(sorted(available_timezones())) | is_like(text, OFFSETS)), column, "a time zone")


RULES = (is_date, is_timestamp, is_time_zone)
