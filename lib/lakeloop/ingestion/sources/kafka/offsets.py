"""Which offsets a batch reads: where the last one ended, what the cluster holds, and what is gone in between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Partition = tuple[str, int]  # topic and number


@dataclass(frozen=True)
class Held:
    """The offsets of a partition that can be read: from `first` on, before `end`."""

    first: int
    end: int


@dataclass(frozen=True)
class Cluster:
    """The partitions of the topics that are read, and the id of each topic, which no second topic of its name has."""

    held: Mapping[Partition, Held]
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Range:
    """Offsets of a partition from `first` on, before `until`."""

    topic: str
    partition: int
    first: int
    until: int

    @property
    def place(self) -> Partition:
        """The partition."""
        return self.topic, self.partition

    @property
    def offsets(self) -> int:
        """How many there are; fewer messages where the topic is compacted or has transactions."""
        return self.until - self.first


@dataclass(frozen=True)
class Gap:
    """Messages that were not read and cannot be any more: offsets from `first` on, before `until` where that is known.

    They have expired, the topic was made anew under its name or cut at its end, or the topic is gone.
    """

    topic: str
    partition: int
    first: int
    until: int | None
    why: Literal["expired", "recreated", "cut", "gone"]

    @property
    def in_words(self) -> str:
        """What is lost, and how one can tell."""
        place = f"{self.topic} partition {self.partition}"
        match self.why:
            case "expired":
                assert self.until is not None
                last, count = self.until - 1, self.until - self.first
                return (
                    f"{counted(count, 'message')} of {place} (offsets {self.first} to {last}) had been deleted by the "
                    "topic's retention before they were read"
                )
            case "recreated":
                return (
                    f"{place} was deleted and made anew, or cut: offset {self.first} was to be read next; what the old "
                    "topic had from there on is lost"
                )
            case "cut":
                return (
                    f"{place} was cut at its end: offset {self.first} was to be read next, but it ends at "
                    f"{self.until}; what was written there meanwhile may be lost"
                )
            case "gone":
                return f"{place} is gone: offset {self.first} was to be read next; what it had from there on is lost"


@dataclass(frozen=True)
class Reached:
    """Where each known partition is to be read from next, and the ids of the topics when that was found out."""

    next: Mapping[Partition, int] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        topics: dict[str, dict[str, int]] = {}
        for (topic, partition), offset in sorted(self.next.items()):
            topics.setdefault(topic, {})[str(partition)] = offset
        return {"next": topics, "ids": dict(self.ids)}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Reached":
        """What `as_json` gave, after a journey through JSON."""
        found = {
            (topic, int(partition)): offset
            for topic, partitions in values["next"].items()
            for partition, offset in partitions.items()
        }
        return cls(found, values["ids"])


def go_on(reached: Reached, cluster: Cluster) -> tuple[dict[Partition, int], list[Gap]]:
    """Where each partition of the cluster is read from, and what is gone.

    A partition that is new in a known topic is read from 0, and the partitions of a new topic from what they have.
    """
    known = {topic for topic, _ in reached.next}
    positions: dict[Partition, int] = {}
    gaps = [Gap(*place, offset, None, "gone") for place, offset in reached.next.items() if place not in cluster.held]
    for place, held in cluster.held.items():
        is_other = _is_other(place[0], reached, cluster)
        offset = reached.next.get(place, 0 if place[0] in known and not is_other else held.first)
        if (place in reached.next and is_other) or (offset > held.end and not _is_same(place[0], reached, cluster)):
            gaps.append(Gap(*place, offset, None, "recreated"))
            offset = held.first
        elif offset > held.end:
            gaps.append(Gap(*place, offset, held.end, "cut"))
            offset = held.end
        elif offset < held.first:
            gaps.append(Gap(*place, offset, held.first, "expired"))
            offset = held.first
        positions[place] = offset
    return positions, sorted(gaps, key=lambda gap: (gap.topic, gap.partition))


def ranges_of(positions: Mapping[Partition, int], cluster: Cluster, limit: int) -> list[Range]:
    """What is new, at most `limit` offsets, of each partition in proportion to what it has."""
    new = {place: cluster.held[place].end - offset for place, offset in positions.items()}
    shares = share_out({place: count for place, count in new.items() if count > 0}, limit)
    return sorted(Range(*place, positions[place], positions[place] + share) for place, share in shares.items() if share)


def share_out(available: Mapping[Partition, int], limit: int) -> dict[Partition, int]:
    """At most `limit` of what is available, in proportion, the remainder to those that it is nearest to."""
    total = sum(available.values())
    if total <= limit:
        return dict(available)
    shares = {place: limit * count // total for place, count in available.items()}
    by_remainder = sorted(available, key=lambda place: (-(limit * available[place] % total), place))
    for place in by_remainder[: limit - sum(shares.values())]:
        shares[place] += 1
    return shares


def still_there(ranges: Iterable[Range], reached: Reached, cluster: Cluster) -> tuple[list[Range], list[Gap]]:
    """Of planned ranges what can be read yet, and what is gone since."""
    left: list[Range] = []
    gaps: list[Gap] = []
    for planned in ranges:
        held = cluster.held.get(planned.place)
        if held is None:
            gaps.append(Gap(*planned.place, planned.first, planned.until, "gone"))
        elif _is_other(planned.topic, reached, cluster) or held.end < planned.until:
            gaps.append(Gap(*planned.place, planned.first, planned.until, "recreated"))
        elif held.first > planned.first:
            until = min(held.first, planned.until)
            gaps.append(Gap(*planned.place, planned.first, until, "expired"))
            if until < planned.until:
                left.append(Range(*planned.place, until, planned.until))
        else:
            left.append(planned)
    return left, gaps


def summary_of(ranges: Sequence[Range], behind: int) -> str:
    """How much a batch reads, of what, and how many messages are left for later ones."""
    return f"{messages_of(ranges)}, {behind:,} behind"


def messages_of(ranges: Sequence[Range]) -> str:
    """How many messages of which topics."""
    topics = sorted({each.topic for each in ranges})
    said = ", ".join(topics[:3]) + (f" and {len(topics) - 3} more topics" if len(topics) > 3 else "")
    count = sum(each.offsets for each in ranges)
    return f"{counted(count, 'message')} of {said}"


def counted(number: int, what: str) -> str:
    """A number and what is counted."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def as_json(items: Iterable[Range] | Iterable[Gap]) -> list[dict[str, Any]]:
    """Ranges or gaps in JSON values."""
    return [asdict(item) for item in items]


def _is_other(topic: str, reached: Reached, cluster: Cluster) -> bool:
    before, now = reached.ids.get(topic), cluster.ids.get(topic)
    return before is not None and now is not None and before != now


def _is_same(topic: str, reached: Reached, cluster: Cluster) -> bool:
    return reached.ids.get(topic) is not None and reached.ids.get(topic) == cluster.ids.get(topic)
