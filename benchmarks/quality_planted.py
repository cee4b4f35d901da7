"""What Lakeloop and its rivals find among planted faults, each in its own environment."""

from typing import Any

from rich.table import Table

from benchmarks.measuring import Ratio
from benchmarks.quality_bench import Bench, Found, console
from benchmarks.quality_rivals import OURS, RIVALS, Failed, ask
from benchmarks.quality_verdicts import judged


def bench_planted(_: Bench) -> Found:
    """Precision and recall by engine and rule; of engines that only count, numbers."""
    found: dict[str, Any] = {}
    for name in (OURS, *RIVALS):
        module = "benchmarks.quality_run" if name == OURS else f"benchmarks.rivals.{name}"
        try:
            found[name] = judged(ask(name, "quality_verdicts", module))
        except Failed as error:
            found[name] = {}
            console.print(f"{name}: {error}", style="red", markup=False)
    _print(found)
    ours = [verdict for verdict in found[OURS].values() if "precision" in verdict]
    ratios = {
        f"planted_faults_{figure}": Ratio(min((verdict[figure] for verdict in ours), default=0.0), 1.0, "at least")
        for figure in ("precision", "recall")
    }
    return found, ratios


def _print(found: dict[str, Any]) -> None:
    rules = list(dict.fromkeys(rule for engine in found.values() for rule in engine))
    table = Table("rule", *found, title="planted faults: precision and recall, or numbers found and planted")
    for rule in rules:
        table.add_row(rule, *(_cell(engine.get(rule)) for engine in found.values()))
    console.print(table)


def _cell(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return ""
    if "not judged" in verdict:
        return str(verdict["not judged"])[:30]
    if "precision" in verdict:
        return f"{verdict['precision']:.2f} {verdict['recall']:.2f}"
    return f"{verdict['found']} of {verdict['planted']}"
