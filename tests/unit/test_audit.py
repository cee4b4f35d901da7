from pathlib import Path

import pytest

from lakeloop.lake.audit import AuditEntry, append_audit, audit_entries
from lakeloop.serving import writer as writing
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.data.audit_writer import AuditWriter


def entry(number: int) -> AuditEntry:
    return AuditEntry(None if number % 2 else "analyst", "api", "rows", ("silver.a",), ("id", "id"), number)


def test_entries_come_back_as_they_were_and_in_order(tmp_path: Path) -> None:
    assert audit_entries(str(tmp_path)) == []
    first, second = entry(1), entry(2)
    append_audit(str(tmp_path), [second, first])
    found = audit_entries(str(tmp_path))
    assert [(row["reader"], row["tables"], row["columns"], row["rows"]) for row in found] == [
        (None, ["silver.a"], ["id", "id"], 1), ("analyst", ["silver.a"], ["id", "id"], 2),
    ]  # fmt: skip


def test_the_end_of_a_writer_writes_what_waits(tmp_path: Path) -> None:
    for number in range(2):
        writer = AuditWriter(str(tmp_path))
        writer.start()
        writer.add(entry(number))
        writer.stop()
    assert [row["rows"] for row in audit_entries(str(tmp_path))] == [0, 1]


def test_a_writer_without_room_refuses_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 2)
    writer = AuditWriter(str(tmp_path))
    for number in range(2):
        writer.require_room()
        writer.add(entry(number))
    with pytest.raises(RefusedError, match="cannot be recorded at present"):
        writer.require_room()
    writer.stop()
    assert len(audit_entries(str(tmp_path))) == 2
    writer.require_room()
