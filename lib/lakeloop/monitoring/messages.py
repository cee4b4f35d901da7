"""What people are told: one message about one pipeline in one run, as plain text, JSON, or Slack's blocks.

Texts of notices come from data and from other systems: control characters are taken out here, markup is made harmless.
"""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

COLOURS = re.compile("\x1b\\[[0-9;]*m")
MAX_NOTICES = 20
MAX_CHARACTERS = 600
SLACK_HEADER_CHARACTERS = 150


@dataclass(frozen=True)
class Notice:
    """One incident in a message."""

    kind: str
    severity: Literal["warn", "error"]
    text: str
    state: Literal["opened", "repeated", "resolved"] = "opened"

    def rank(self) -> tuple[bool, bool, str, str]:
        """Errors first, what is over last."""
        return self.state == "resolved", self.severity == "warn", self.kind, self.text

    @property
    def heading(self) -> str:
        """What happened, in two or three words."""
        name = self.kind.replace("_", " ")
        return {"opened": name, "repeated": f"still {name}", "resolved": f"recovered from {name}"}[self.state]


@dataclass(frozen=True)
class Message:
    """All that a channel hears about a pipeline in a run. `at` is in UTC."""

    pipeline: str
    owner: str | None
    run_id: str
    environment: str
    at: dt.datetime
    notices: tuple[Notice, ...]

    @property
    def id(self) -> str:
        """The same for every try to send it; of letters, digits, dots and dashes."""
        return re.sub(r"[^A-Za-z0-9._-]", "-", f"{self.run_id}.{self.pipeline}")

    @property
    def subject(self) -> str:
        """One line without control characters."""
        gone = sum(notice.state == "resolved" for notice in self.notices)
        wrong = len(self.notices) - gone
        if wrong == 1:
            said = next(notice.heading for notice in self.notices if notice.state != "resolved")
        else:
            said = f"{wrong} problems" if wrong else "recovered"
        also = f", {gone} recovered" if wrong and gone else ""
        return one_line(f"[Lakeloop {self.environment}] {self.pipeline}: {said}{also}")

    def as_text(self) -> str:
        """The message for people who read plain text."""
        lines = [f"{notice.heading}: {one_line(notice.text)}" for notice in self.notices[:MAX_NOTICES]]
        return "\n".join([*lines, *self._more(), "", *self._facts()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        """The message for programs; the texts as they are."""
        return {
            "id": self.id,
            "subject": self.subject,
            "pipeline": self.pipeline,
            "owner": self.owner,
            "environment": self.environment,
            "run_id": self.run_id,
            "at": self.at.isoformat(),
            "incidents": [
                {"kind": notice.kind, "severity": notice.severity, "state": notice.state, "message": notice.text}
                for notice in self.notices
            ],
        }

    def as_slack(self) -> dict[str, Any]:
        """The message for Slack's incoming webhooks. Nothing in it mentions anybody or makes a link."""
        header = self.subject[:SLACK_HEADER_CHARACTERS]
        sections = [
            f"*{slack_text(notice.heading)}*\n{slack_text(one_line(notice.text))}"
            for notice in self.notices[:MAX_NOTICES]
        ]
        facts = slack_text(" · ".join([*self._more(), *self._facts()]))
        return {
            "text": slack_text(self.subject),
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}},
                *({"type": "section", "text": _mrkdwn(text)} for text in sections),
                {"type": "context", "elements": [_mrkdwn(facts)]},
            ],
        }

    def _more(self) -> list[str]:
        hidden = len(self.notices) - MAX_NOTICES
        return [f"and {hidden} more: lakeloop incidents"] if hidden > 0 else []

    def _facts(self) -> list[str]:
        return [
            f"pipeline {self.pipeline}, owner {one_line(self.owner) if self.owner else 'not declared'}",
            f"run {self.run_id} in {one_line(self.environment)}, {self.at:%Y-%m-%d %H:%M} UTC",
        ]


def one_line(text: str, limit: int = MAX_CHARACTERS) -> str:
    """The text without colours of a terminal, control characters, line ends, or characters that turn its direction."""
    kept = "".join(
        " " if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character
        for character in COLOURS.sub("", text)
    )
    line = " ".join(kept.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def slack_text(text: str) -> str:
    """The text with the three characters escaped that begin and end mentions, links and entities in Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
