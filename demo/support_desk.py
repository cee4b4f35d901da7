"""The support desk: contacts of customers, invented, and the files in which they reach the drop folder.

The contacts are synthetic and independent of churn: they are drawn from the seed alone, 0 to 4 per customer, and say
nothing about who leaves. A model that gains by them has found chance.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from demo.contact_files import FIELDS, Entry, write_file
from demo.defects import BROKEN_XML, CONTACTS, MALFORMED, Planted, plant, planted_line
from demo.telco import Row

PIPELINE = "support_contacts"
SPACING = timedelta(seconds=5)
CONTACTS_PER_CUSTOMER = {0: 30, 1: 28, 2: 22, 3: 13, 4: 7}  # in percent
SATISFACTION_MISSING = 0.25
SMALL_FILE = 40  # contacts
COPIES = {1: 1, 2: 0}
OLDER_VERSIONS = {1: 2, 2: 1}
FIELD_MISSING = {1: 3, 2: 0}


def draw_contacts(customer_ids: Sequence[str], first_number: int, start: datetime, rng: random.Random) -> list[Row]:
    """The contacts of one day, one row per contact, in the order of time, numbered from `first_number`."""
    counts = rng.choices(list(CONTACTS_PER_CUSTOMER), list(CONTACTS_PER_CUSTOMER.values()), k=len(customer_ids))
    callers = [customer_id for customer_id, count in zip(customer_ids, counts, strict=True) for _ in range(count)]
    rng.shuffle(callers)
    return [_contact(first_number + i, caller, start + i * SPACING, rng) for i, caller in enumerate(callers)]


def pack_files(
    day: int, contacts: Sequence[Row], customer_ids: Sequence[str], start: datetime, rng: random.Random
) -> tuple[dict[str, bytes], list[Planted]]:
    """The files of one day, by name, and the ground truth of what is planted in them.

    Three large files, one per format, hold most contacts and most defects. Then come files that are odd as a whole: a
    column too many (its rows are good), a column too few, XML that breaks off, no content, content of another kind.
    """
    callers = iter(rng.sample(customer_ids, len(CONTACTS[day]) + FIELD_MISSING[day]))
    spare = (_contact(90_000 + 100 * day + i, caller, start, rng) for i, caller in enumerate(callers))
    without_field = [Entry(next(spare), "field_missing") for _ in range(FIELD_MISSING[day])]
    in_broken_xml, with_agent = contacts[:SMALL_FILE], contacts[SMALL_FILE : 2 * SMALL_FILE]
    rest = contacts[2 * SMALL_FILE :]

    planted = [*plant(spare, CONTACTS[day]), *(("dedupe", row) for row in _duplicates(day, rest, rng))]
    large = {extension: [Entry(row) for row in rest[i::3]] for i, extension in enumerate(["csv", "jsonl", "xml"])}
    for extension, entry in [
        *((rng.choice(list(large)), Entry(row, reason)) for reason, row in planted),
        *((extension, Entry(line, "malformed")) for extension, line in MALFORMED[day]),
    ]:
        large[extension].insert(rng.randrange(len(large[extension])), entry)

    files = [(extension, *write_file(extension, entries)) for extension, entries in large.items()]
    agents: list[Row] = [{**row, "agent": f"agent {rng.randint(1, 9)}"} for row in with_agent]
    files.append(("csv", *write_file("csv", [Entry(row) for row in agents], [*FIELDS, "agent"])))
    breaking = [*(Entry(row) for row in in_broken_xml), Entry(BROKEN_XML[day], "malformed")]
    files.append(("xml", *write_file("xml", breaking, cut_off=day == 2)))
    if day == 1:
        files.append(("csv", *write_file("csv", without_field, FIELDS[:-1])))
        files.append(("csv", b"", []))
    else:
        files.append(("jsonl", _not_text(rng), [(1, "file_refused")]))

    contents: dict[str, bytes] = {}
    truth: list[Planted] = []
    for number, (extension, content, found) in enumerate(files, start=1):
        name = f"contacts_day{day}_{number:02d}.{extension}"
        contents[name] = content
        truth += [planted_line(PIPELINE, reason, name, line) for line, reason in found]
    return contents, truth


def _contact(number: int, customer_id: str, moment: datetime, rng: random.Random) -> Row:
    return {
        "contact_id": f"S{number:05d}",
        "customer_id": customer_id,
        "contacted_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "channel": rng.choice(["phone", "email", "chat"]),
        "topic": rng.choice(["billing", "technical", "contract", "moving house", "price, discount"]),
        "minutes": rng.randint(1, 45),
        "satisfaction": None if rng.random() < SATISFACTION_MISSING else rng.randint(1, 5),
    }


def _duplicates(day: int, contacts: Sequence[Row], rng: random.Random) -> list[Row]:
    repeated = rng.sample(contacts, COPIES[day] + OLDER_VERSIONS[day])
    return [*repeated[: COPIES[day]], *(_older(row) for row in repeated[COPIES[day] :])]


def _older(row: Row) -> Row:
    moment = datetime.fromisoformat(str(row["contacted_at"])) - timedelta(seconds=1)
    return {**row, "contacted_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "minutes": 0}


def _not_text(rng: random.Random) -> bytes:
    """The start of a gzip file, without a byte that could pass for a line's end: one line to every reader."""
    return b"\x1f\x8b\x08" + bytes(rng.choices(range(0xA0, 0x100), k=400))
