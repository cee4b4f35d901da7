"""`lakeloop incidents` and `lakeloop alerts test`."""

from pathlib import Path

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, explained, plain_table, start
from lakeloop.core.config import Project
from lakeloop.core.durations import in_words
from lakeloop.core.run_record import now
from lakeloop.monitoring.messages import one_line

app = typer.Typer(help="Channels that people are told through.", no_args_is_help=True)


@app.callback()
def alerts() -> None:
    """Channels that people are told through."""


@app.command("test")
def send_test(channel: str, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Send a test message through a channel of alerts.yml; starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("alerts test", conf_dir, env)
        remark = verbs.send_test(project, channel, context)
        console.print(escape(f"{channel} took the message" + (f", but {remark}" if remark else "")), soft_wrap=True)


def incidents(conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Show the open incidents, oldest first; starts no Spark."""
    with explained():
        project = Project(conf_dir, env)
        found = verbs.incidents(project)
        if not found:
            console.print(f"No open incident in {project.lake_root}.", soft_wrap=True)
            return
        table, moment = plain_table(), now()
        for incident in found:
            last = incident.last
            told = ", ".join(sorted(incident.told)) or "nobody"
            seen = f"open for {in_words(moment - incident.opened_at)}, seen in {incident.runs} run(s), told: {told}"
            said = f"{last.kind.replace('_', ' ')} ({last.severity}): {one_line(last.message)}"
            table.add_row(escape(last.pipeline), f"{escape(said)}\n[dim]{escape(seen)}[/dim]")
        console.print(table)
