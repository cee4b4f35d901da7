"""Refusals of the data API: a status of HTTP and a sentence."""


class RefusedError(Exception):
    """A request that is not answered; the sentence says what was found, what is allowed and what to do."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
