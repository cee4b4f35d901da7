"""The frame of a command that runs a server until Ctrl-C or a terminate signal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lakeloop.core.errors import LakeloopError


@contextmanager
def until_stopped() -> Iterator[None]:
    """The end of the block by a signal is no failure, and a server that does not start is said in a sentence."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except LakeloopError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nstopped")
