"""Structured logs: JSON lines with the run's id. Only entry points call `configure`; the library just logs."""

import errno
import logging
import sys
from pathlib import Path

import structlog


class LogFile(logging.FileHandler):
    """A log whose lines go where its disk is full, which is said once on standard error; the run goes on."""

    is_full = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of `logging`
        """Say what kept a line from the log."""
        error = sys.exc_info()[1]
        if not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
            super().handleError(record)
        elif not self.is_full:
            self.is_full = True
            sys.stderr.write(f"The disk of {self.baseFilename} is full; lines are missing in this log.\n")


def configure(file: Path | None = None) -> None:
    """Append every log line as JSON to `file`, or write it to standard error when there is none."""
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = LogFile(file, encoding="utf-8")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("lakeloop").setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
