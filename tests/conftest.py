"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Let what tests start have these signals as a terminal gives them: `nohup` and shells without job control ignore them for all."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            # It does nothing either, but unlike SIG_IGN no other program inherits it.
            signal.signal(number, lambda *_: None)
