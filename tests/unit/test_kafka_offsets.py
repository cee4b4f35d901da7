"""Which offsets a batch reads: shares of a limit, where to go on, and what is gone in between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.ingestion.sources.kafka.offsets import (
    Cluster,
    Gap,
    Held,
    Range,
    Reached,
    go_on,
    ranges_of,
    share_out,
    still_there,
    summary_of,
)

A, B = ("orders", 0), ("orders", 1)
PLACES = st.tuples(st.sampled_from(["orders", "bills"]), st.integers(0, 9))
AVAILABLE = st.dictionaries(PLACES, st.integers(1, 10**12))


@given(AVAILABLE, st.integers(1, 10**12))
def test_shares_are_all_there_is_or_all_that_is_allowed_and_in_proportion(
    available: dict[tuple[str, int], int], limit: int
) -> None:
    shares, total = share_out(available, limit), sum(available.values())
    assert sum(shares.values()) == min(limit, total)
    for place, share in shares.items():
        assert 0 <= share <= available[place]
        assert total <= limit or abs(share * total - limit * available[place]) < total  # less than one message away


@given(AVAILABLE, st.integers(1, 1000))
def test_batch_after_batch_reads_each_offset_once(available: dict[tuple[str, int], int], limit: int) -> None:
    cluster = Cluster({place: Held(0, count % 500) for place, count in available.items()})
    positions, read = dict.fromkeys(cluster.held, 0), []
    while ranges := ranges_of(positions, cluster, limit):
        assert sum(each.offsets for each in ranges) <= limit
        read += ranges
        positions |= {each.place: each.until for each in ranges}
    for place, held in cluster.held.items():
        mine = [each for each in read if each.place == place]
        assert [each.first for each in mine] == [0, *(each.until for each in mine[:-1])][: len(mine)]
        assert positions[place] == held.end


def test_ten_of_forty_and_sixty_are_four_and_six() -> None:
    assert share_out({A: 40, B: 60}, 10) == {A: 4, B: 6}
    assert share_out({A: 1, B: 2}, 1) == {A: 0, B: 1}
    assert share_out({A: 1, B: 2}, 3) == {A: 1, B: 2}
    assert share_out({}, 3) == {}


def test_a_known_partition_goes_on_and_a_new_one_begins() -> None:
    cluster = Cluster({A: Held(0, 9), B: Held(0, 3), ("bills", 0): Held(7, 9)}, {"orders": "x", "bills": "y"})
    positions, gaps = go_on(Reached({A: 5}, {"orders": "x"}), cluster)
    assert (positions, gaps) == ({A: 5, B: 0, ("bills", 0): 7}, [])


@pytest.mark.parametrize(
    ("held", "id_", "position", "why", "until", "said"),
    [
        (Held(8, 20), "x", 8, "expired", 8, r"3 messages of orders partition 0 (offsets 5 to 7) had been deleted"),
        (Held(6, 20), "x", 6, "expired", 6, r"1 message of orders partition 0 (offsets 5 to 5)"),
        (Held(0, 20), "z", 0, "recreated", None, "deleted and made anew, or cut: offset 5 was to be read next"),
        (Held(0, 2), "z", 0, "recreated", None, "made anew"),
        (Held(0, 2), "x", 2, "cut", 2, "was cut at its end: offset 5 was to be read next, but it ends at 2"),
        (Held(0, 2), None, 0, "recreated", None, "made anew"),
    ],
)
def test_what_is_gone_is_named(
    held: Held, id_: str | None, position: int, why: str, until: int | None, said: str
) -> None:
    cluster = Cluster({A: held}, {} if id_ is None else {"orders": id_})
    positions, (gap,) = go_on(Reached({A: 5}, {"orders": "x"}), cluster)
    assert (positions[A], gap.why, gap.first, gap.until) == (position, why, 5, until)
    assert said in gap.in_words


def test_messages_of_a_new_partition_that_expired_before_it_was_seen_are_missed() -> None:
    _, gaps = go_on(Reached({A: 5}, {"orders": "x"}), Cluster({A: Held(0, 9), B: Held(4, 9)}, {"orders": "x"}))
    assert gaps == [Gap(*B, 0, 4, "expired")]


def test_a_partition_that_is_gone_is_no_silence() -> None:
    _, (gap,) = go_on(Reached({A: 5, B: 1}), Cluster({A: Held(0, 9)}))
    assert (gap.why, gap.partition) == ("gone", 1)
    assert "offset 1 was to be read next" in gap.in_words


def test_of_a_plan_what_can_be_read_yet() -> None:
    planned = [Range("orders", 0, 5, 9), Range("orders", 1, 0, 2), Range("orders", 2, 0, 2), Range("orders", 3, 0, 4)]
    held = {A: Held(7, 20), B: Held(0, 1), ("orders", 3): Held(0, 4)}
    left, gaps = still_there(planned, Reached(), Cluster(held))
    assert left == [Range("orders", 0, 7, 9), Range("orders", 3, 0, 4)]
    assert [(gap.partition, gap.first, gap.until, gap.why) for gap in gaps] == [
        (0, 5, 7, "expired"), (1, 0, 2, "recreated"), (2, 0, 2, "gone"),
    ]  # fmt: skip
    assert still_there(planned[:1], Reached({}, {"orders": "x"}), Cluster({A: Held(0, 20)}, {"orders": "z"}))[0] == []


@given(st.dictionaries(PLACES, st.integers(0, 10**15)), st.dictionaries(st.text(), st.text()))
def test_what_was_reached_survives_the_ledger(next_: dict[tuple[str, int], int], ids: dict[str, str]) -> None:
    reached = Reached(next_, ids)
    assert Reached.of_json(json.loads(json.dumps(reached.as_json))) == reached


def test_a_summary_names_few_topics() -> None:
    ranges = [Range(f"t{number}", 0, 0, 250) for number in range(5)]
    assert summary_of(ranges, 7) == "1,250 messages of t0, t1, t2 and 2 more topics, 7 behind"
    assert summary_of([Range("t", 0, 4, 5)], 0) == "1 message of t, 0 behind"
