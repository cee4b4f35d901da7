"""`lakeloop champion`: who answers for a model, who did when and why, and how that is changed."""

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, explained, plain_table, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.lake.champions import Role, Switch

Model = Annotated[str, typer.Argument(help="Name of a model", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason, for those who come after", show_default=False)]
SHOWN = "%Y-%m-%d %H:%M:%S"

app = typer.Typer(help="Who answers for a model: history, promote, rollback.", no_args_is_help=True)


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="Name of a model; none means all", show_default=False)] = None,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show every switch, and what was refused, in the order of time; starts no Spark."""
    with explained():
        ledger = verbs.champion_history(Project(conf_dir, env), name)
        if not ledger:
            console.print("No version has been promoted yet; next: lakeloop train")
            return
        table = Table("when (UTC)", "model", "what", "who", "why", box=None, pad_edge=False)
        for switch in ledger:
            table.add_row(f"{switch.effective_at:{SHOWN}}", switch.model, _what(switch), switch.who, escape(switch.why))
            for gate in switch.gates:
                if not gate.holds:
                    table.add_row("", "", f"[yellow]{escape(f'{gate.name}: {gate.found}')}[/yellow]", "", "")
        console.print(table)


@app.command()
def at(
    name: Model,
    time: Annotated[str, typer.Argument(help="As 2026-11-24T08:30:00, in UTC unless it says otherwise")],
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show which versions held which roles at a time, and what they had learned from; starts no Spark."""
    with explained():
        try:
            moment = dt.datetime.fromisoformat(time)
        except ValueError as error:
            raise typer.BadParameter(f"{time} is no time such as 2026-11-24T08:30:00") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        held = verbs.champions_at(Project(conf_dir, env), name, moment)
        if not held:
            console.print(f"Nobody answered for {name} at {moment:{SHOWN}} UTC; lakeloop champion history {name}")
            return
        table = plain_table()
        for switch in held:
            table.add_row(
                f"[bold]{switch.role}[/bold]", f"version {switch.version} since {switch.effective_at:{SHOWN}}"
            )
            tables = ", ".join(f"{table} version {version}" for table, version in switch.tables.items())
            table.add_row("", f"[dim]learned from {tables}[/dim]")
            if switch.rules:
                rules = ", ".join(f"{pipeline} {version}" for pipeline, version in switch.rules.items())
                table.add_row("", f"[dim]under the rules of {rules}[/dim]")
        console.print(table)


@app.command()
def promote(
    name: Model,
    version: Annotated[int, typer.Argument(min=1, help="A registered version")],
    role: Annotated[
        Role, typer.Option("--as", help="A canary answers for some keys, a challenger in secret")
    ] = "champion",
    percent: Annotated[float | None, typer.Option(min=0, max=100, help="Keys that a canary answers for")] = None,
    why: Why = "",
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Put a version in a role if it passes the gates, which the model file declares."""
    with explained():
        project, context = Project(conf_dir, env), start("champion", conf_dir, env)
        with progress_bar() as progress:
            done = verbs.promote_model(project, name, version, context, progress, role=role, percent=percent, why=why)
        for gate in done.switch.gates:
            console.print(f"[dim]{gate.name}: {escape(gate.found)}[/dim]", soft_wrap=True)
        _told(name, done)


@app.command()
def rollback(
    name: Model,
    to: Annotated[
        int | None, typer.Option(min=1, help="A version that was champion; by default the one before")
    ] = None,
    tables: Annotated[bool, typer.Option("--tables", help="Restore the table of features to its version, too")] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="Declare its rule sets again, in the environment's overlay")
    ] = False,
    why: Why = "",
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Let the champion before the present one answer again, after a check that it can; starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("champion", conf_dir, env)
        told = partial(_said, name)
        done = verbs.roll_back(project, name, context, told, to=to, why=why, tables=tables, rules=rules)
        if done.restored is not None:
            for line in (done.restored.table, *(f"rules again: {file}" for file in done.restored.files)):
                console.print(escape(line), soft_wrap=True)
        _troubled(done)


@app.command()
def withdraw(
    name: Model,
    role: Annotated[Role, typer.Option("--as", help="Whose place becomes empty")],
    why: Why = "",
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Take the holder of a role out of it; without a champion nobody answers. Starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("champion", conf_dir, env)
        _told(name, verbs.withdraw_model(project, name, role, context, why))


def _told(name: str, done: verbs.Switched) -> None:
    _troubled(done)
    _said(name, done.switch)


def _troubled(done: verbs.Switched) -> None:
    if done.trouble:
        console.print(escape(done.trouble), style="yellow", soft_wrap=True)


def _said(name: str, switch: Switch) -> None:
    said = f"{name}: {_what(switch)}, from {switch.effective_at:%H:%M:%S.%f} UTC on"
    console.print(f"{said} · next: lakeloop champion history {name}", soft_wrap=True)


def _what(switch: Switch) -> str:
    before = f", after version {switch.previous}" if switch.previous is not None else ""
    if switch.action == "refused":
        return f"version {switch.version} refused as {switch.role}"
    if switch.version is None:
        return f"no {switch.role} any more{before}"
    share = f" for {switch.percent:g}%" if switch.percent is not None else ""
    return f"version {switch.version} is {switch.role}{share}{before}"
