"""How verbs tell what they are at."""

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(text: str) -> None:
    """Progress that nobody watches."""
