"""`make drill-serving`: versions change, are refused and come back under load; MLflow, workers and callers misbehave.

python -m drills.drill_serving                  # all parts in full
python -m drills.drill_serving swaps overload --small
"""

import argparse
import datetime as dt
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from deltalake import DeltaTable

from benchmarks.serving_client import Connection, request_text
from benchmarks.serving_lake import rows_to_ask
from drills.runs import Tell, console, wait_until
from drills.serving_callers import Answer
from drills.serving_load import all_answered, asked_for, asking, not_due, p99_ms
from drills.serving_stage import HASTY_PER_SECOND, MODEL, Service, Stage, key_of, staged
from drills.serving_versions import Change, add_version, answering_nan, slow, without_column, without_document
from lakeloop.core.errors import PromotionRefusedError
from lakeloop.lake.champions import switches

STEADY = key_of("steady")
PER_SECOND = 50.0
ROLLBACK_SECONDS = 5.0
BROKEN: dict[str, Change] = {
    "a file is missing": without_document, "a column is missing in the table": without_column,
    "NaN is answered": answering_nan, "too slow": slow,
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """How much of each is done."""

    swaps: int
    rollbacks: int
    quiet_seconds: float
    outage_seconds: float
    overload_seconds: float
    signals: int


FULL, SMALL = Scale(20, 3, 30, 60, 30, 4), Scale(4, 1, 5, 10, 12, 2)


def swaps(stage: Stage, scale: Scale, tell: Tell) -> None:
    """Versions take turns, and some come back, while callers ask; each answer is by the version that was due."""
    with Service(stage.folder, 2) as service:
        quiet = asked_for(
            scale.quiet_seconds, stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND
        )
        with asking(stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND) as load:
            for number in range(scale.swaps):
                wait_for(stage.promote(stage.sound[(number + 1) % 2]).effective_at)
                time.sleep(0.5)
            for _ in range(scale.rollbacks):
                _, done = stage.lakeloop("champion", "rollback", MODEL)
                hold(done.returncode == 0, f"a rollback failed: {done.stdout[-800:]}{done.stderr[-800:]}")
                time.sleep(2.5)
            answers = load.end()
        said = all_answered(answers)
        wrong = not_due(switches(stage.root), MODEL, answers)
        changes = sum(a.version != b.version for a, b in pairwise(answers))
        tell(
            f"{scale.swaps} swaps and {scale.rollbacks} rollbacks: {said}, by version "
            f"{dict(sorted(Counter(answer.version for answer in answers).items()))}, {len(wrong)} by a version that "
            f"was not due, {changes} changes seen; {beside(answers, quiet)}"
        )
        hold(not wrong, f"{len(wrong)} answers by a version that was not due, such as {wrong[:2]}")


def rollback(stage: Stage, scale: Scale, tell: Tell) -> None:
    """From the start of `lakeloop champion rollback` to its end, and until all workers answer by the old version."""
    for _ in range(scale.rollbacks):
        wait_for(stage.promote(next(version for version in stage.sound if version != stage.champion())).effective_at)
        with Service(stage.folder, 2) as service:
            newer = stage.champion()
            with asking(stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND) as load:
                time.sleep(1)
                began = time.time()
                took, done = stage.lakeloop("champion", "rollback", MODEL)
                hold(done.returncode == 0, f"the rollback failed: {done.stdout[-800:]}{done.stderr[-800:]}")
                time.sleep(3)
                answers = load.end()
        said = all_answered(answers)
        by_newer = [answer.sent + answer.seconds for answer in answers if answer.version == newer]
        hold(answers[-1].version != newer, "the newer version still answers after the rollback")
        until = max(by_newer) - began
        tell(f"rollback: command {took:.2f} s, last answer by version {newer} after {until:.2f} s; {said}")
        # The command goes on for some seconds, in which MLflow's alias follows; nobody's answer depends on that.
        hold(until <= ROLLBACK_SECONDS, f"the version that goes answered for more than {ROLLBACK_SECONDS:g} s")


def broken(stage: Stage, scale: Scale, tell: Tell) -> None:
    """Versions that must not answer are refused in a sentence before the switch, and the service goes on."""
    del scale
    with Service(stage.folder, 2) as service:
        before = stage.champion()
        with asking(stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND) as load:
            for what, change in BROKEN.items():
                version = add_version(stage.project, MODEL, 1, change)
                try:
                    stage.promote(version)
                except PromotionRefusedError as refusal:
                    tell(f"{what}: {str(refusal)[:300]}")
                else:
                    raise SystemExit(f"{what}: version {version} was promoted all the same")
                last = switches(stage.root, MODEL)[-1]
                hold((last.action, last.version) == ("refused", version), f"{what}: the ledger does not say so: {last}")
            time.sleep(2)
            answers = load.end()
        said = all_answered(answers)
        hold({answer.version for answer in answers} == {before}, "another version answered")
        tell(f"{len(BROKEN)} broken versions refused: {said}, all by version {before}")


def mlflow_away(stage: Stage, scale: Scale, tell: Tell) -> None:
    """MLflow's server dies and comes back: every request is answered, and a rollback does without it."""
    wait_for(stage.promote(next(version for version in stage.sound if version != stage.champion())).effective_at)
    with Service(stage.folder, 2) as service:
        quiet = asked_for(
            scale.quiet_seconds, stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND
        )
        newer = stage.champion()
        with asking(stage.answers_file(), service.port, MODEL, key=STEADY, per_second=PER_SECOND) as load:
            stage.tracking.stop()
            began = time.monotonic()
            took, done = stage.lakeloop("champion", "rollback", MODEL)
            time.sleep(max(scale.outage_seconds - (time.monotonic() - began), 0))
            away = time.monotonic() - began
            answers = load.end()
        stage.tracking.start()
        said = all_answered(answers)
        tell(f"MLflow away for {away:.0f} s: {said}; {beside(answers, quiet)}")
        words = " ".join(done.stdout.split())
        tell(f"a rollback meanwhile: exit code {done.returncode} after {took:.1f} s: {words[:400]}")
        hold(done.returncode == 0 and answers[-1].version != newer, f"it did not roll back: {done.stderr[-800:]}")
        hold(not not_due(switches(stage.root), MODEL, answers), "an answer was by a version that was not due")
    with Service(stage.folder, 1) as alone, Connection(alone.port) as connection:
        hold(connection.ask(_one_request())[0] == 200, "a service that starts does not answer")


def overload(stage: Stage, scale: Scale, tell: Tell) -> None:
    """One caller asks ten times its share: it is told when to come back, and another one does not feel it."""
    with Service(stage.folder, 1) as service:
        calm = {"key": STEADY, "per_second": 20.0, "callers": 2}
        quiet = asked_for(scale.overload_seconds, stage.answers_file(), service.port, MODEL, **calm)
        hasty = {"key": key_of("hasty"), "per_second": 10.0 * HASTY_PER_SECOND, "callers": 8}
        with asking(stage.answers_file(), service.port, MODEL, **hasty) as rush:
            other = asked_for(scale.overload_seconds, stage.answers_file(), service.port, MODEL, **calm)
            rushed = rush.end()
        counted = Counter(answer.status for answer in rushed)
        refused = [answer for answer in rushed if answer.status == 429]
        hold(bool(refused) and set(counted) <= {200, 429}, f"the hasty caller was told {dict(counted)}")
        hold(all(answer.retry_after for answer in refused), "a 429 does not say when to come back")
        tell(
            f"ten times its limit: {counted[200]} × 200, {counted[429]} × 429 with Retry-After; the other caller: "
            f"{all_answered(other)}, {beside(other, quiet)}"
        )


def signals(stage: Stage, scale: Scale, tell: Tell) -> None:
    """Workers get SIGTERM, then SIGKILL, under load; each answer that was given stands in the log of predictions."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with Service(stage.folder, 2) as service:
            with asking(stage.answers_file(), service.port, MODEL, key=STEADY, per_second=200, callers=8) as load:
                time.sleep(2)
                for _ in range(scale.signals):
                    before = service.worker_pids()
                    hold(len(before) == 2, f"there are {len(before)} workers")
                    os.kill(min(before), sent)
                    back = wait_until(
                        lambda old=before: len(service.worker_pids() - old) >= 1, 20, "no worker came back"
                    )
                    tell(f"{sent.name} of a worker: another one after {back:.1f} s")
                    time.sleep(2)
                answers = load.end()
            code = service.end()
        given = {answer.identity for answer in answers if answer.status == 200}
        failed = [answer for answer in answers if answer.status != 200]
        lost = given - logged(stage)
        tell(
            f"{scale.signals} × {sent.name}: {len(given):,} answers, {len(lost)} of them not in the log; "
            f"{len(failed)} requests without an answer {dict(Counter(a.trouble[:60] for a in failed))}; "
            f"exit code {code}"
        )
        hold(sent != signal.SIGTERM or not lost, f"{len(lost)} answers are not in the log after SIGTERM")


PARTS: dict[str, Callable[[Stage, Scale, Tell], None]] = {
    part.__name__: part for part in (swaps, rollback, broken, mlflow_away, overload, signals)
}


def wait_for(moment: dt.datetime) -> None:
    """Sleep until a time, and a little."""
    time.sleep(max((moment - dt.datetime.now(dt.UTC)).total_seconds() + 0.2, 0))


def hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


def beside(answers: Sequence[Answer], quiet: Sequence[Answer]) -> str:
    """The p99 of answers, and how often it is that of a quiet time."""
    busy, calm = p99_ms(answers), p99_ms(quiet)
    return f"p99 {busy:.1f} ms, quiet {calm:.1f}: {busy / calm:.2f} ×"


def logged(stage: Stage) -> set[str]:
    """The names of all answers in the log."""
    table = DeltaTable(f"{stage.root}/ops/predictions").to_pyarrow_table(columns=["request_id"])
    return set(table.column("request_id").to_pylist())


def _one_request() -> bytes:
    (row,) = rows_to_ask(1)
    return request_text("POST", f"/models/{MODEL}/score", {"row": row}, {"X-API-Key": STEADY}).encode()


def main() -> None:
    """Run the parts (none named: all); exit code 1 where one does not hold."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--small", action="store_true", help="Fewer swaps, shorter times")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.parts if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    failed = []
    with staged() as stage:
        for name in arguments.parts or PARTS:
            began = time.monotonic()
            tell: Tell = lambda text, of=name: console.print(f"{of}: {text}", soft_wrap=True, markup=False)  # noqa: E731
            try:
                PARTS[name](stage, SMALL if arguments.small else FULL, tell)
                tell(f"holds, {time.monotonic() - began:.0f} s")
            except SystemExit as failure:
                failed.append(name)
                tell(f"FAILED: {failure}")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
