"""Rows that are dated ahead of the clock: what a cursor of times must not go on from yet.

Reading goes on behind the greatest cursor, so one row of a wrong clock would hide all that come before its time. It is
held back, not lost: it is read once its time has come, or its cursor is mended.
"""

import datetime as dt

WITH_ZONE, WITHOUT_ZONE = dt.timedelta(minutes=10), dt.timedelta(days=1)  # a zone that is not told may be any


def latest_of(clock: dt.datetime, ahead: dt.timedelta | None, *, has_zone: bool) -> dt.datetime | None:
    """The latest time that is read now, given what is declared; None where that is beyond the calendar."""
    allowed = ahead if ahead is not None else WITH_ZONE if has_zone else WITHOUT_ZONE
    try:
        return clock + allowed
    except OverflowError:
        return None


def said(number: int, what: str, latest: str) -> str:
    """In words, with the remedy."""
    many, ends = (f"1 {what} is", "its time comes") if number == 1 else (f"{number:,} {what}s are", "their time comes")
    remedy = "mend the clock that wrote them, or declare how far `ahead` is right"
    return f"{many} dated ahead of the clock, behind {latest}, and held back until {ends}; {remedy}"
