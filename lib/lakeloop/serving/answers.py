"""Refusals of the APIs: a status of HTTP and a sentence."""


class RefusedError(Exception):
    """A request that is not answered; the sentence says what was found, what is allowed and what to do.

    `retry_after` are the seconds after which the same request may be answered, None where it never will be.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after
