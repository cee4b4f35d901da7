"""Servers that several test modules share, each started when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.alert_receivers import SECRETS
from tools.kafka import KafkaBroker


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """One broker for all tests of a process; each test has topics of its own."""
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder of secrets as they are mounted."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value + "\n")
    return folder
