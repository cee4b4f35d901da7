"""`make drill-sources`: everything that may happen to a source, its server, its line and its table, in one command.

python -m drills.drill_sources                    # all parts in full
python -m drills.drill_sources kafka jdbc --kills 3
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from drills import drill_cdc, drill_cluster, drill_jdbc, drill_kafka, drill_network, drill_writers
from drills.runs import Account, Tell, console


@dataclass(frozen=True)
class Wanted:
    """How much of each is done; `kills` of None is what the part has in full."""

    kills: int | None
    seconds: float
    operations: int
    seed: int

    def of(self, in_full: int) -> int:
        return in_full if self.kills is None else self.kills


@dataclass(frozen=True)
class Result:
    """What came of one thing that was done; `lag_seconds` is None where there is no lag to measure."""

    part: str
    kills: int
    account: Account
    lag_seconds: float | None = None


def kafka(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """Runs from Kafka killed."""
    with drill_kafka.drilling(wanted.seed, tell) as drill:
        drill.kill(wanted.of(25))
        yield Result("Kafka, runs killed", drill.kills, drill.finish())


def cdc(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """Runs that follow a table killed."""
    with drill_cdc.drilling(wanted.seed, tell) as drill:
        drill.kill(wanted.of(25))
        yield Result("CDC, runs killed", drill.kills, drill.finish())


def jdbc(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """Runs by a cursor killed."""
    with drill_jdbc.drilling(wanted.seed, tell) as drill:
        drill.kill(wanted.of(25))
        yield Result("JDBC, runs killed", drill.kills, drill.finish())


def dedupe(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """Runs that drop what came before killed, while messages come several times."""
    with drill_kafka.drilling(wanted.seed, tell, repeats=True) as drill:
        drill.kill(wanted.of(25))
        yield Result("dedupe, runs killed", drill.kills, drill.finish())


def broker(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """The broker killed while `lakeloop watch` goes on."""
    with drill_kafka.drilling(wanted.seed, tell, trigger="1s") as drill:
        lag = drill.kill_broker_under_watch(wanted.of(5))
        yield Result("Kafka, broker killed", drill.kills, drill.finish(), lag)


def postgres(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """The server killed while runs go on."""
    with drill_jdbc.drilling(wanted.seed, tell) as by_cursor:
        for _ in range(wanted.of(3)):
            by_cursor.kill_server()
        yield Result("JDBC, server killed", by_cursor.kills, by_cursor.finish())
    with drill_cdc.drilling(wanted.seed, tell) as following:
        for _ in range(wanted.of(3)):
            following.kill_server()
        yield Result("CDC, server killed", following.kills, following.finish())


def network(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """The line to each system cut, by a refusal and by silence."""
    for system in drill_network.SYSTEMS:
        with drill_network.drilling(system, wanted.seed, tell) as (drill, proxy):
            for _ in range(wanted.of(1)):
                for how in drill_network.CUTS:
                    drill_network.cut_midway(drill, proxy, how, wanted.seconds)
            yield Result(f"{system}, line cut", drill.kills, drill.finish())


def writers(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """Four processes that write one table at once."""
    yield Result("four writers", 0, drill_writers.write_at_once(wanted.operations, wanted.seed, tell))


def cluster(wanted: Wanted, tell: Tell) -> Iterator[Result]:
    """An executor and a worker killed in the middle of a stage."""
    for what, account in drill_cluster.kill_each(wanted.of(1), tell):
        yield Result(f"cluster, {what} of the time", wanted.of(1), account)


PARTS: dict[str, Callable[[Wanted, Tell], Iterator[Result]]] = {
    part.__name__: part for part in (kafka, cdc, jdbc, dedupe, broker, postgres, network, writers, cluster)
}


def main() -> None:
    """Run the parts (none named: all), and end with a table; exit code 1 where a row was lost or came twice."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--kills", type=int, help="Of each part; by default 25 runs, 5 brokers, 3 servers, 1 of the rest"
    )
    parser.add_argument("--seconds", type=float, default=30, help="How long a line is cut")
    parser.add_argument("--operations", type=int, default=200, help="Of four writers together")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.parts if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    wanted = Wanted(arguments.kills, arguments.seconds, arguments.operations, arguments.seed)
    table = Table("part", "kills", "rows", "lost", "twice", "checksum", "lag 0 after s", "seconds", title="drilled")
    failed = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("parts", total=len(arguments.parts or PARTS))
        for name in arguments.parts or PARTS:
            progress.update(task, description=name)
            failed |= not run_part(name, wanted, table, progress, task)
    console.print(table)
    sys.exit(1 if failed else 0)


def run_part(name: str, wanted: Wanted, table: Table, progress: Progress, task: TaskID) -> bool:
    """Run a part, with a line of the table for each of its results; false where it failed."""
    began = time.monotonic()
    try:
        for result in PARTS[name](wanted, lambda text: progress.console.print(f"{name}: {text}", soft_wrap=True)):
            account, seconds = result.account, time.monotonic() - began
            table.add_row(
                result.part, str(result.kills), f"{account.rows:,}", str(account.lost), str(account.twice),
                "equal" if account.equal else "DIFFERENT",
                "" if result.lag_seconds is None else f"{result.lag_seconds:.1f}", f"{seconds:.0f}",
            )  # fmt: skip
            began = time.monotonic()
    except SystemExit as failure:
        progress.console.print(f"{name}: FAILED: {failure}", soft_wrap=True, markup=False)
        table.add_row(name, "", "", "", "", "FAILED", "", f"{time.monotonic() - began:.0f}")
        return False
    finally:
        progress.advance(task)
    return True


if __name__ == "__main__":
    main()
