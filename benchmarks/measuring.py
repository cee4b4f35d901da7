"""What every benchmark writes down: machine, versions, minimum, median and maximum, and ratios against targets."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

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
    table = Table("ratio", "value", "target", "met", title=name)
    for key, ratio in ratios.items():
        met = "yes" if ratio.met else "[red]no[/red]"
        table.add_row(key, f"{ratio.value:.4g}", f"{ratio.holds_if} {ratio.target:g}", met)
    Console().print(table)
    Console().print(f"Result: {path}")
