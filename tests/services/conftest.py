"""Servers that several test modules share, each started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from tools.kafka import KafkaBroker


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """One broker for all tests; each test has topics of its own."""
    with KafkaBroker() as broker:
        yield broker
