"""The ledger, watched: with a clock that the test sets."""

import json
import shutil
from pathlib import Path

import pytest

from lakeloop.lake import champions
from lakeloop.lake.champions import Switch
from lakeloop.scoring.release import digest_of
from lakeloop.serving.models import watch as model_watch
from lakeloop.serving.models.measures import ModelMeasures
from lakeloop.serving.models.watch import Watch
from tests.model_lake import publish, switch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def set(self, to: Switch, after: float = 0.0) -> float:
        self.now = to.effective_at.timestamp() + after
        return self.now


def watching(root: Path, *names: str) -> tuple[Watch, Clock]:
    clock = Clock()
    return Watch(str(root), names, ModelMeasures(), clock), clock


def champion(watch: Watch, at: float, model: str = "churn") -> int | None:
    roles = watch.lines[model].at(at)
    return roles.champion.number if roles and roles.champion else None


def test_a_version_is_loaded_before_its_moment_and_answers_from_then_on(tmp_path: Path) -> None:
    watch, clock = watching(tmp_path)
    assert watch.missing() == ["the ledger has not been read yet"]
    watch.look()
    assert (watch.missing(), dict(watch.lines)) == ([], {})
    first = switch(str(tmp_path), 1)
    clock.set(first)
    watch.look()
    second = switch(str(tmp_path), 2, shift=0.5)
    clock.set(second, -1.0)
    watch.look()
    moment = second.effective_at.timestamp()
    assert (champion(watch, moment - 1e-3), champion(watch, moment)) == (1, 2)
    assert (watch.measures.swaps, watch.measures.late_swaps) == (2, 0)
    clock.set(second, 5.0)
    watch._polls = model_watch.LOOK_ANYWAY - 1
    third = switch(str(tmp_path), None)
    clock.set(third, 1.0)
    watch.look()
    assert champion(watch, clock.now) is None
    assert watch.measures.late_swaps == 1


def test_a_ledger_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = watching(tmp_path)
    clock.set(switch(str(tmp_path), 1))
    watch.look()
    monkeypatch.setattr(model_watch, "switches", lambda _: pytest.fail("the ledger was read"))
    clock.now += 10
    watch.look()
    assert (watch.age, champion(watch, clock.now)) == (0.0, 1)


def test_a_release_that_answers_otherwise_leaves_the_last_champion(tmp_path: Path) -> None:
    watch, clock = watching(tmp_path)
    switch(str(tmp_path), 1)
    release = publish(str(tmp_path), 0.5)
    document = tmp_path / release / "release.json"
    card = json.loads(document.read_text())
    card["probes"][3][2] += 1e-6
    document.write_text(json.dumps(card))
    name = f"churn/{digest_of(tmp_path / release)}"
    wrong = champions.put_release(str(tmp_path), name, tmp_path / release)
    clock.set(switch(str(tmp_path), 2, release=wrong))
    watch.look()
    assert champion(watch, clock.now) == 1
    said = watch.missing()[0]
    assert said.startswith("churn: version 2 does not answer as champion: 1 of its rows speak against it")
    assert watch.measures.failed_loads == 1


def test_files_of_another_content_are_not_loaded_and_are_tried_again(tmp_path: Path) -> None:
    watch, clock = watching(tmp_path)
    switch(str(tmp_path), 1)
    second = switch(str(tmp_path), 2, shift=0.5)
    folder = tmp_path / str(second.release)
    shutil.move(folder / "release.json", tmp_path / "kept.json")
    clock.set(second)
    watch.look()
    assert champion(watch, clock.now) == 1
    assert "there is no release.json" in watch.missing()[0]
    shutil.move(tmp_path / "kept.json", folder / "release.json")
    clock.now += model_watch.TRY_AGAIN_SECONDS + 1
    watch.look()
    assert (champion(watch, clock.now), watch.missing()) == (2, [])


def test_only_the_champion_has_one_before_it(tmp_path: Path) -> None:
    watch, clock = watching(tmp_path)
    root = str(tmp_path)
    switch(root, 1)
    switch(root, 2, role="canary", percent=10.0)
    last = switch(root, 3, role="canary", percent=10.0, release="_releases/churn/0000000000000000")
    clock.set(last)
    watch.look()
    roles = watch.lines["churn"].at(clock.now)
    assert roles is not None
    assert (roles.canary, champion(watch, clock.now)) == (None, 1)


def test_a_ledger_that_cannot_be_read_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = watching(tmp_path)
    clock.set(switch(str(tmp_path), 1))
    watch.look()

    def out_of_reach(_: str) -> None:
        raise OSError("out of reach")

    switch(str(tmp_path), 2, shift=0.5)
    monkeypatch.setattr(model_watch, "switches", out_of_reach)
    clock.now += 7
    watch.look()
    assert (champion(watch, clock.now), watch.age) == (1, 7.0)
    monkeypatch.undo()
    watch.look()
    assert champion(watch, clock.now) == 2


def test_only_the_models_that_were_named_are_followed(tmp_path: Path) -> None:
    watch, clock = watching(tmp_path, "churn")
    switch(str(tmp_path), 1, model="prices")
    clock.set(switch(str(tmp_path), 1))
    watch.look()
    assert list(watch.lines) == ["churn"]
