"""Rule sets that no value can satisfy: told when they are declared, before they quarantine every row.

Looked at are rules that act on rows (all severities but `warn`) and that look at the same rows (the same `filter`).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from lakeloop.quality.orders import impossible_orders
from lakeloop.quality.row_rules.sets import as_text
from lakeloop.quality.rule import Rule

PRESENT = ("is_not_null", "is_not_blank", "is_primary_key")
# Formats of which no text has two.
FORMATS = ("is_email", "is_iban", "is_phone", "is_url", "is_ip", "is_uuid")
REMEDY = "change one of them, or say with `filter` which rows each is for"


@dataclass(frozen=True)
class Contradiction:
    """Rules that no value can satisfy together, by their places in the list, and why."""

    places: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Interval:
    """What a rule leaves of an order: from `low` to `high`, the ends excluded where they are open."""

    low: float | str = -math.inf
    high: float | str = math.inf
    is_low_open: bool = False
    is_high_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing lies in it."""
        if isinstance(self.low, str) != isinstance(self.high, str):
            return False
        return self.low > self.high or (self.low == self.high and (self.is_low_open or self.is_high_open))  # type: ignore[operator]  # of one kind

    def meets(self, other: "Interval") -> bool:
        """Whether something lies in both; each is taken not to be empty."""
        return not (self._ends_before(other) or other._ends_before(self))

    def _ends_before(self, other: "Interval") -> bool:
        return Interval(other.low, self.high, other.is_low_open, self.is_high_open).is_empty

    def __contains__(self, value: float) -> bool:
        return self.meets(Interval(value, value))


def contradictions(rules: Sequence[Rule]) -> list[str]:
    """What contradicts itself in a list of rules: a sentence with the names of the rules, the reason and the remedy."""
    return [found.text for found in find_contradictions(rules)]


def find_contradictions(rules: Sequence[Rule]) -> list[Contradiction]:
    """As `contradictions`, with the places of the rules in the list."""
    groups = defaultdict[str | None, list[int]](list)
    for place, rule in enumerate(rules):
        if rule.severity != "warn":
            groups[rule.filter].append(place)
    found = [each for places in groups.values() for each in _in_group({place: rules[place] for place in places})]
    return sorted(found, key=lambda each: max(each.places))


def _in_group(rules: dict[int, Rule]) -> Iterator[Contradiction]:
    by_column = defaultdict[str, dict[int, Rule]](dict)
    for place, rule in rules.items():
        for column in rule.columns:
            by_column[column.lower()][place] = rule
    for of_column in by_column.values():
        yield from _of_column(of_column)
    orders = [
        (place, *(rule.parameters[key] for key in ("column", "operator", "to")))
        for place, rule in rules.items()
        if rule.kind == "compares"
    ]
    for places, why in impossible_orders(orders):
        yield _told(rules, places, why)


def _told(rules: dict[int, Rule], places: Iterable[int], why: str) -> Contradiction:
    ordered = tuple(sorted(places))
    names = [rules[place].name for place in ordered]
    if len(names) == 1:
        return Contradiction(ordered, f"{names[0]} can hold for no value: {why}; change it")
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return Contradiction(ordered, f"{listed} contradict each other: {why}; {REMEDY}")


def _of_column(rules: dict[int, Rule]) -> Iterator[Contradiction]:
    intervals = {place: kept for place, rule in rules.items() if (kept := _interval(rule))}
    empty = {place for place, (_, interval, _) in intervals.items() if interval.is_empty}
    for place in empty:
        yield _told(rules, [place], intervals[place][2])
    for one, other in combinations([place for place in intervals if place not in empty], 2):
        (kind, first, why), (other_kind, second, other_why) = intervals[one], intervals[other]
        if kind == other_kind and not first.meets(second):
            yield _told(rules, (one, other), f"{why}, and {other_why}")
    yield from _of_presence(rules)
    yield from _of_values(rules, intervals)


def _interval(rule: Rule) -> tuple[str, Interval, str] | None:
    """What a rule has in order (numbers, lengths, times), what it leaves of it, and this in words."""
    given, column = rule.parameters, ", ".join(rule.columns)
    if rule.kind == "is_in_range":
        lows = [(given["min"], False), (given["above"], True)]
        highs = [(given["max"], False), (given["below"], True)]
        low = max(((value, is_open) for value, is_open in lows if value is not None), default=(-math.inf, False))
        high = min(((value, not is_open) for value, is_open in highs if value is not None), default=(math.inf, True))
        interval = Interval(low[0], high[0], low[1], not high[1])
        words = {"min": "at least", "above": "more than", "max": "at most", "below": "less than"}
        said = [f"{word} {given[key]}" for key, word in words.items() if given[key] is not None]
        return "number", interval, f"{column} would have to be {' and '.join(said) or 'a number'}"
    if rule.kind in {"has_length", "has_size"}:
        what = "characters" if rule.kind == "has_length" else "elements"
        most = math.inf if given["max"] is None else given["max"]
        limits = {"at least": given["min"] or None, "at most": given["max"]}
        said = [f"{word} {limit}" for word, limit in limits.items() if limit is not None]
        return what, Interval(given["min"], most), f"{column} would have {' and '.join(said)} {what}"
    if rule.kind == "is_between":
        since, until = given["since"] or "", given["until"] or "\uffff"
        said = [f"{word} {given[key]}" for key, word in (("since", "at or after"), ("until", "before")) if given[key]]
        return "time", Interval(since, until, is_high_open=True), f"{column} would have to be {' and '.join(said)}"
    return None


def _of_presence(rules: dict[int, Rule]) -> Iterator[Contradiction]:
    absent = [place for place, rule in rules.items() if rule.kind == "is_null"]
    for place, rule in rules.items():
        if rule.kind in PRESENT and absent:
            column = rules[absent[0]].columns[0]
            yield _told(rules, (absent[0], place), f"{column} would have to be NULL and have a value")
    formats = [(place, rule.kind) for place, rule in rules.items() if rule.kind in FORMATS]
    for (one, kind), (other, other_kind) in combinations(formats, 2):
        if kind != other_kind:
            yield _told(rules, (one, other), "no text has both formats")


def _of_values(rules: dict[int, Rule], intervals: dict[int, tuple[str, Interval, str]]) -> Iterator[Contradiction]:
    sets = [place for place, rule in rules.items() if rule.kind == "is_in"]
    for number, place in enumerate(sets):
        values = {as_text(value) for value in rules[place].parameters["values"]}
        others = [other for other in rules if other != place and other not in sets[:number]]
        left, used, is_alone = values, [place], True
        for other in others:
            kept = {value for value in values if _allows(rules[other], intervals.get(other), value)}
            if kept != values:
                used.append(other)
            if not kept:
                is_alone = False
                yield _told(rules, (place, other), f"{rules[other].name} leaves none of the values {_shown(values)}")
            left = left & kept
        if is_alone and not left:
            yield _told(rules, used, f"together they leave none of the values {_shown(values)}")


def _allows(rule: Rule, interval: tuple[str, Interval, str] | None, value: str) -> bool:
    if rule.kind in {"is_in", "is_not_in"}:
        return (value in {as_text(each) for each in rule.parameters["values"]}) == (rule.kind == "is_in")
    if interval is None or interval[0] not in {"number", "characters"}:
        return True
    if interval[0] == "characters":
        return len(value) in interval[1]
    try:
        return float(value) in interval[1]
    except ValueError:
        return False


def _shown(values: Iterable[str]) -> str:
    listed = sorted(values)
    return ", ".join(listed[:5]) + (" …" if len(listed) > 5 else "")
