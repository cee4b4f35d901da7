"""What every benchmark writes down: machine, versions, minimum, median and maximum, and ratios against targets."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Column, Table

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("pyspark", "delta-spark", "mlflow", "scikit-learn")


@dataclass(frozen=True)
class Ratio:
    """One figure against its target."""

    value: float
    target: float
    holds_if: Literal["at most", "at least"] = "at most"

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.holds_if == "at most" else self.value >= self.target


def spread(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def spreads(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The spread of each figure that the runs have."""
    return {name: spread([run[name] for run in runs]) for name in runs[0]}


def share_of(runs: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]], figure: str) -> float:
    """The median of one figure of runs over that of others, pair by pair."""
    return spread([run[figure] / other[figure] for run, other in zip(runs, others, strict=True)])["median"]


def measured(command: Sequence[str], **environment: str) -> dict[str, Any]:
    """What a process says in the last line that it prints, as JSON; the benchmark ends where the process failed."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_conf(folder: Path, connections: str, **pipelines: str) -> None:
    """A configuration with Spark as it is shipped; the environment names the lake."""
    texts = {
        "base/platform.yml": "lake: ${env:LAKELOOP_LAKE}\n",
        "base/connections.yml": connections,
        **{f"base/pipelines/{name}.yml": text for name, text in pipelines.items()},
        **{name: (ROOT / "conf" / name).read_text() for name in ("base/spark.properties", "local/spark.properties")},
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def machine() -> dict[str, Any]:
    """Enough to judge a figure by."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpus": os.cpu_count(), "memory_gib": round(memory, 1), "platform": platform.platform(),
            "python": platform.python_version(), **{name: version(name) for name in PACKAGES}}  # fmt: skip


def write_result(name: str, figures: Mapping[str, Any], ratios: Mapping[str, Ratio]) -> None:
    """Write `results/<name>.json` and print the ratios."""
    content = {
        "machine": machine(),
        **figures,
        "ratios": {key: {**asdict(ratio), "met": ratio.met} for key, ratio in ratios.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    table = Table(Column("ratio", no_wrap=True), "value", "target", "met", title=name)
    for key, ratio in ratios.items():
        met = "yes" if ratio.met else "[red]no[/red]"
        table.add_row(key, f"{ratio.value:.4g}", f"{ratio.holds_if} {ratio.target:g}", met)
    Console().print(table)
    Console().print(f"Result: {path}")


def print_ways(title: str, ways: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the medians of each way in a row of its own."""
    names = list(next(iter(ways.values())))
    table = Table("way", *(name.replace("_", " ") for name in names), title=title)
    for way, figures in ways.items():
        medians = [figures[name]["median"] for name in names]
        table.add_row(way, *(f"{median:,.0f}" if median >= 1_000 else f"{median:.3g}" for median in medians))
    Console().print(table)
