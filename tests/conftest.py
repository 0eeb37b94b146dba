"""What holds for all tests."""

import asyncio
import signal
from collections.abc import Callable, Mapping

from hypothesis import HealthCheck, settings

from tests.waiting_loop import WaitingLoop


def pytest_configure() -> None:
    """No example has a time limit, and signals are as usual."""
    # A machine that is busy may halt a test for longer than any example should take.
    settings.register_profile("patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    _usual_signals()


def _usual_signals() -> None:
    """Let what tests start have these signals as a terminal gives them: `nohup` and shells without job control ignore them for all."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            # It does nothing either, but unlike SIG_IGN no other program inherits it.
            signal.signal(number, lambda *_: None)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"waiting": WaitingLoop}
