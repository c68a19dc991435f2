"""A request that is answered in another process, which finds this module where it does not find the tests."""

import os
import signal
from collections.abc import Callable
from functools import partial


def prepare(offset: int) -> Callable[[int], str]:
    return partial(answer, offset)


def answer(offset: int, number: int) -> str:
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{number + offset} {os.environ['MOON']} {os.environ['OMP_WAIT_POLICY']}"
