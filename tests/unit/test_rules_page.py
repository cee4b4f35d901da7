"""docs/rules.md: every rule stands in it, with an example that is one, and what it refuses is told as it says."""

import re
from pathlib import Path

import pytest
import yaml

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.quality import Rule
from lakeloop.quality.regular_expressions import checked
from lakeloop.quality.rule import KINDS

PAGE = (Path(__file__).parents[2] / "docs/rules.md").read_text()
LINES = re.findall(r"^\| `(\w+)`(?:, `\w+`)* \|.*\| `([^|]+)` \|$", PAGE, re.MULTILINE)
NAMED = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|.*\| `[^|]+` \|$", PAGE, re.MULTILINE)))
HEAD = (
    "pipeline: accounts\ndescription: Accounts\n"
    "source: {files: drop, formats: {csv: {}}, fields: [id, email, opened, closed, balance]}\nrules:\n"
)
REFUSED = {
    0: ['matches: {column: id, pattern: "([A-Z]+-?)+[0-9]+"}', 'sql: "balance > (SELECT avg(balance) FROM accounts)"',
        'is_not_null: {column: closed, filter: "rand() < 0.1"}', "is_date: {column: opened, format: yyyy-mm-dd}"],
    1: ["is_not_null: id", "is_not_null: email", "is_not_null: opened",
        "is_in_range: {column: balance, min: 100, name: rich}", "is_in_range: {column: balance, max: 0, name: poor}"],
}  # fmt: skip


def test_every_rule_has_its_line() -> None:
    assert sorted(NAMED) == sorted(KINDS)


@pytest.mark.parametrize(("kind", "example"), LINES)
def test_an_example_is_a_rule_of_its_kind(kind: str, example: str) -> None:
    assert Rule.model_validate(yaml.safe_load(example)).kind == kind


@pytest.mark.parametrize("number", REFUSED)
def test_what_is_refused_is_told_as_the_page_has_it(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/local").mkdir(parents=True)
    file = tmp_path / "conf/base/pipelines/accounts.yml"
    file.parent.mkdir(parents=True)
    file.write_text(HEAD + "".join(f"  - {rule}\n" for rule in REFUSED[number]) + "sink: {table: silver.accounts}\n")
    told = "\n".join(verbs.validate(Project(Path("conf")))).splitlines()
    shown = re.findall(r"^    (conf/base/pipelines/accounts\.yml.*)$", PAGE, re.MULTILINE)
    ours = [line for line in told if "accounts.yml" in line]
    assert ours == (shown[:4] if number == 0 else shown[4:])


def test_the_patterns_of_the_page_are_judged_as_it_says() -> None:
    words = r"(?>.*?error)(?>.*?timeout)(?>.*?host).*"
    for pattern in (r"[A-Z]+(-[A-Z]+)*[0-9]+", r"([A-Z]++-?)+[0-9]+", r".*a.*b.*c", words):
        assert f"`{pattern}`" in PAGE
        assert checked(pattern) == pattern
    for pattern in (r"([A-Z]+-?)+[0-9]+", r".*a.*b.*c.*d", r"(\w+\b\s*)+"):
        assert f"`{pattern}`" in PAGE
        with pytest.raises(ValueError, match="can take the same text"):
            checked(pattern)
