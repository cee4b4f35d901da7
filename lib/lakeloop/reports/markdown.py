"""Sections as Markdown: what a page says in words and tables, for places that show no HTML. Charts are left out."""

import re
from collections.abc import Iterator, Sequence

from lakeloop.reports.page import Section, Table

# What Markdown or a browser would take for markup, and a line break, which would end a row.
MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")


def render_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The sections as GitHub's Markdown; any text is shown as it is."""
    parts = [f"# {plain(title)}", plain(subtitle)]
    for section in sections:
        parts += [f"## {plain(section.title)}", plain(section.intro)]
        if section.verdict:
            parts.append(f"**{'✓' if section.verdict.holds else '✗'} {plain(section.verdict.text)}**")
        if section.cards:
            parts.append(
                "\n".join(
                    f"- {plain(card.label)}: **{plain(card.value)}** {plain(card.note)}".rstrip()
                    for card in section.cards
                )
            )
        for table in section.tables:
            parts += [f"### {plain(table.caption)}", "\n".join(_lines(table)) if table.rows else plain(table.empty)]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: object) -> str:
    """Text of one line in which nothing is markup."""
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _lines(table: Table) -> Iterator[str]:
    yield _row([plain(column) for column in table.columns])
    yield _row(["---:" if is_number else "---" for is_number in table.numeric])
    for row in table.texts():
        yield _row([plain(text) for text in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
