"""Each part of the drill of serving, in short. `make drill-serving` does more, and for longer."""

from collections.abc import Iterator

import pytest

from drills.drill_serving import PARTS, SMALL
from drills.serving_stage import Stage, staged


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_holds(stage: Stage, part: str) -> None:
    PARTS[part](stage, SMALL, print)
