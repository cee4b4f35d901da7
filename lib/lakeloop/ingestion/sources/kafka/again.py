"""A part of topics that was read before, read again: from which offsets to which, and what of it is gone."""

import re
from collections.abc import Mapping
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.backfill import Asked, moment_of
from lakeloop.ingestion.sources.kafka.broker import Broker
from lakeloop.ingestion.sources.kafka.offsets import Cluster, Held, Partition, Reached

PLACE = re.compile(r"(?:(?P<topic>[A-Za-z0-9._-]+)/)?(?P<partition>\d+)=(?P<offset>\d+)")
FORMS = (
    "an offset of every partition, as 1200; offsets of some, as 0=1200,1=1180, or orders/0=1200 where there are "
    "several topics; or a time, as 2026-03-01T12:00:00+00:00"
)


def part_of(
    asked: Asked, reached: Reached, cluster: Cluster, broker: Broker
) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """Where each partition begins and where it ends, never behind what was read.

    Raises SourceError for what is no offset or time, for a topic that was made anew, and where messages that are asked
    for have been deleted or may have been.
    """
    known = {place: offset for place, offset in reached.next.items() if place in cluster.held}
    for topic in {place[0] for place in known}:
        if reached.ids.get(topic, cluster.ids.get(topic)) != cluster.ids.get(topic, reached.ids.get(topic)):
            raise SourceError(
                f"{broker.name}: {topic} was deleted and made anew since it was read, so what is asked for is gone; "
                "let the pipeline read the new one to its end first"
            )
    firsts = _places(asked.first, "--from", known, cluster, broker)
    untils = known if asked.until is None else _places(asked.until, "--to", known, cluster, broker)
    begin = {place: offset for place, offset in firsts.items() if place in untils}
    end = {place: max(offset, min(untils[place], known[place])) for place, offset in begin.items()}
    return begin, end


def require_there(
    begin: Mapping[Partition, int], end: Mapping[Partition, int], cluster: Cluster, broker: Broker
) -> None:
    """Raise SourceError where messages from `begin` to `end` have been deleted."""
    wanted = {place: offset for place, offset in sorted(begin.items()) if offset < end[place]}
    held = {place: cluster.held[place].first for place in wanted if place in cluster.held}
    if all(place in held and offset >= held[place] for place, offset in wanted.items()):
        return
    found = [
        f"{topic} partition {number} " + (f"begins at {held[topic, number]}" if (topic, number) in held else "is gone")
        for (topic, number), offset in wanted.items()
        if offset < held.get((topic, number), end[topic, number])
    ]
    there = written({place: max(offset, held[place]) for place, offset in wanted.items() if place in held})
    raise SourceError(
        f"{broker.name}: messages that are asked for have been deleted by the topic's retention: "
        f"{'; '.join(found[:5])}. Nothing was read. Whoever sent them may be able to send them again"
        + (f"; what is there yet is read by --from {there}" if there else "")
    )


def written(places: Mapping[Partition, int]) -> str:
    """Offsets as the options take them."""
    return ",".join(f"{topic}/{number}={offset}" for (topic, number), offset in sorted(places.items()))


def bounded(cluster: Cluster, end: Mapping[Partition, int]) -> Cluster:
    """The cluster as if it ended there, of these partitions alone."""
    return Cluster({place: Held(cluster.held[place].first, upto) for place, upto in end.items()}, cluster.ids)


def places_of(next_: Mapping[str, Mapping[str, int]]) -> dict[Partition, int]:
    """Offsets by partition, from JSON values."""
    return {(topic, int(number)): offset for topic, found in next_.items() for number, offset in found.items()}


def json_of(places: Mapping[Partition, int]) -> Any:
    """The same in JSON values."""
    return Reached(places).as_json["next"]


def _places(
    text: str, option: str, known: Mapping[Partition, int], cluster: Cluster, broker: Broker
) -> dict[Partition, int]:
    if text.isdecimal():
        return dict.fromkeys(known, int(text))
    items = [PLACE.fullmatch(item.strip()) for item in text.split(",")]
    if all(items):
        return dict(_place(item, option, known, broker) for item in items if item)
    moment = moment_of(text)
    if moment is None:
        raise SourceError(f"{broker.name}: {option} {text} is no place in a topic; expected {FORMS}")
    found = broker.since(known, int(moment.timestamp() * 1000))
    unsure = [place for place, offset in found.items() if offset == cluster.held[place].first > 0]
    if unsure and option == "--from":
        topic, number = unsure[0]
        raise SourceError(
            f"{broker.name}: {topic} partition {number} begins at offset {cluster.held[topic, number].first} with a "
            f"message that is no older than {text}, so messages of that time may have been deleted before it; to read "
            "what is there, give offsets in place of the time, as --from "
            + written({place: known[place] if offset is None else offset for place, offset in found.items()})
        )
    return {place: cluster.held[place].end if offset is None else offset for place, offset in found.items()}


def _place(found: re.Match[str], option: str, known: Mapping[Partition, int], broker: Broker) -> tuple[Partition, int]:
    topics = sorted({topic for topic, _ in known})
    topic = found["topic"] or (topics[0] if len(topics) == 1 else "")
    place = (topic, int(found["partition"]))
    if place not in known:
        read = ", ".join(f"{topic}/{number}" for topic, number in sorted(known)[:10])
        raise SourceError(f"{broker.name}: {option} names {found[0]}, and what was read before is {read}; name these")
    return place, int(found["offset"])
