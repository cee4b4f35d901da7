"""The line to each system silent for longer than it may be; `make drill-sources` refuses, too, and takes longer."""

import pytest

from drills.drill_network import BOUND_SECONDS, SYSTEMS, cut_midway, drilling


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_silent_line_ends_in_a_sentence_and_nothing_is_lost(system: str) -> None:
    with drilling(system, seed=7) as (drill, proxy):
        cut_midway(drill, proxy, "silent", BOUND_SECONDS + 4)
        assert drill.finish().is_sound
