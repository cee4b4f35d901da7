"""The ledger, watched: versions that come into a role are loaded and tried before they take effect."""

import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs

from lakeloop.core import logs
from lakeloop.core.errors import LakeloopError, ScorerError
from lakeloop.lake.champions import CHAMPIONS, Role, Switch, fetch_release, switches
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.storage import filesystem
from lakeloop.scoring.release import Release, complaints, digest_of, read_release
from lakeloop.serving.model_measures import ModelMeasures
from lakeloop.serving.model_roles import Line, Roles, Version

log = logs.get(__name__)

POLL_SECONDS = 0.5
LOOK_ANYWAY = 60  # polls, should a table have been put back to an older version
TRY_AGAIN_SECONDS = 10.0
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass
class Watch:
    """Keeps `lines`, a model each, as the ledger says. `names` are the models that are served, none means all.

    A release that cannot be loaded, or answers otherwise than on the day of its training, does not get its role: the
    last champion that can answer goes on, and of a canary and a challenger nobody takes the place. A ledger that cannot
    be read leaves everything as it is.
    """

    root: str
    names: Sequence[str]
    measures: ModelMeasures
    clock: Callable[[], float] = time.time
    lines: dict[str, Line] = field(default_factory=dict)
    looked_at: float = -math.inf
    _version: int = -1
    _polls: int = 0
    _seen: int = -1
    _ledger: list[Switch] = field(default_factory=list)
    _releases: dict[str, Release] = field(default_factory=dict)
    _failed: dict[str, tuple[float, str]] = field(default_factory=dict)
    _made: dict[int, Version] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Load what is there, then go on looking in a thread."""
        self._look_safely()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def age(self) -> float:
        """Seconds since the ledger was last read or found unchanged; infinite before."""
        return self.clock() - self.looked_at

    def missing(self) -> list[str]:
        """Why not all champions can answer, a sentence each; empty once they do."""
        if self._seen < 0:
            return ["the ledger has not been read yet"]
        return [f"{line.model}: {said}" for line in self.lines.values() for said in line.problems.values()]

    def look(self) -> None:
        """Follow the ledger where it has changed, and try again what could not be loaded."""
        try:
            version = self._newest()
            changed = version != self._version
            if changed:
                self._ledger = switches(self.root)
            self._version = version
            self.looked_at = self.clock()
        except (LakeloopError, DeltaError, OSError) as error:
            log.error("ledger not read", error=str(error))
            changed = False
        due = any(self.clock() - at >= TRY_AGAIN_SECONDS for at, _ in self._failed.values())
        if changed or due or (self._seen < 0 and self.looked_at > -math.inf):
            self._follow()

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._look_safely()

    def _look_safely(self) -> None:
        try:
            self.look()
        except Exception as error:  # whatever it is, the models go on answering
            log.error("ledger not followed", exc_info=error)

    def _newest(self) -> int:
        """The ledger's version, for the cost of one look at a file while it stays the same; -1 where there is none."""
        self._polls += 1
        uri = uri_of(self.root, CHAMPIONS)
        if self._version < 0 or self._polls % LOOK_ANYWAY == 0:
            return DeltaTable(uri).version() if has_table(self.root, CHAMPIONS) else -1
        system, path = filesystem(f"{uri}/_delta_log/{self._version + 1:020d}.json")
        there = system.get_file_info(path).type is fs.FileType.File
        return DeltaTable(uri).version() if there else self._version

    def _follow(self) -> None:
        now = self.clock()
        self._failed = {name: found for name, found in self._failed.items() if now - found[0] < TRY_AGAIN_SECONDS}
        is_first, seen = self._seen < 0, self._seen
        for model in dict.fromkeys(switch.model for switch in self._ledger):
            if not self.names or model in self.names:
                self._follow_model(model, now)
        new = [switch for switch in self._ledger if switch.number > seen and switch.action != "refused"]
        if not is_first:
            self.measures.swaps += len(new)
            self.measures.late_swaps += sum(switch.effective_at.timestamp() < self.clock() for switch in new)
        self._seen = self._ledger[-1].number if self._ledger else 0
        self._forget()

    def _follow_model(self, model: str, now: float) -> None:
        ledger = [switch for switch in self._ledger if switch.model == model and switch.action != "refused"]
        coming = sorted({at for switch in ledger if (at := switch.effective_at.timestamp()) > now})
        problems: dict[Role, str] = {}
        timeline = [
            Roles(since, **{role: self._holder(ledger, role, moment, problems) for role in ROLES})
            for since, moment in [(0.0, now), *((at, at) for at in coming)]
        ]
        line = self.lines.setdefault(model, Line(model))
        line.timeline, line.problems = tuple(reversed(timeline)), problems

    def _holder(self, ledger: Sequence[Switch], role: Role, moment: float, problems: dict[Role, str]) -> Version | None:
        """Who answers in a role at a moment: who holds it, or the last champion before that can."""
        at = dt.datetime.fromtimestamp(moment, dt.UTC)
        held = [switch for switch in ledger if switch.role == role and switch.effective_at <= at]
        if not held or held[-1].version is None:
            return None
        for switch in reversed(held):
            if switch.version is None:
                continue
            try:
                return self._loaded(switch, switch.version)
            except (LakeloopError, OSError) as error:
                problems.setdefault(role, f"version {switch.version} does not answer as {role}: {error}")
            if role != "champion":
                return None
        return None

    def _loaded(self, switch: Switch, number: int) -> Version:
        """The version of a switch, ready to answer. Raises ScorerError where it cannot, StorageError."""
        if switch.number in self._made:
            return self._made[switch.number]
        if switch.release is None:
            raise ScorerError("it has no form that answers without Spark; score tables by it")
        release = self._release(switch.release)
        scorer, card = release.scorer, release.card
        background = scorer.table(card.background) if card.background else None
        counts = self.measures.counts(switch.model, number, switch.role)
        version = Version(switch, number, scorer, card, background, counts)
        self._made[switch.number] = version
        log.info("version loaded", model=switch.model, version=number, role=switch.role)
        return version

    def _release(self, name: str) -> Release:
        if name in self._releases:
            return self._releases[name]
        if name in self._failed:
            raise ScorerError(self._failed[name][1])
        try:
            self._releases[name] = _read(self.root, name)
        except (LakeloopError, OSError) as error:
            self._failed[name] = (self.clock(), str(error))
            self.measures.failed_loads += 1
            log.error("release not loaded", release=name, error=str(error))
            raise
        return self._releases[name]

    def _forget(self) -> None:
        """Let go of what holds no role any more."""
        used = {
            version.switch.number
            for line in self.lines.values()
            for roles in line.timeline
            for version in (roles.champion, roles.canary, roles.challenger)
            if version is not None
        }
        self._made = {number: version for number, version in self._made.items() if number in used}
        releases = {version.switch.release for version in self._made.values()}
        self._releases = {name: release for name, release in self._releases.items() if name in releases}


def _read(root: str, name: str) -> Release:
    """A release of the lake, tried: it answers its probes as it did, which also readies its function."""
    with TemporaryDirectory(prefix="lakeloop-release-") as folder:
        files = fetch_release(root, name, Path(folder))
        release = read_release(files)
        found, named = digest_of(files), name.rsplit("/", 1)[-1]
    if found != named:
        raise ScorerError(f"its files are not those that were promoted: their digest is {found}, not {named}")
    if said := complaints(release):
        raise ScorerError(f"{len(said)} of its rows speak against it, first {said[0]}")
    return release
