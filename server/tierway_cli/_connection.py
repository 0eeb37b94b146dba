"""How the commands reach a server, and how they say that a call failed: one line on stderr and an exit code."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from tierway_cli._output import one_line
from tierway_client import Client, DeadlineExceededError, TierwayError, UnavailableError

_Command = TypeVar("_Command", bound=Callable[..., Any])

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class CallFailedError(click.ClickException):
    """A call failed; click shows the line and exits with 1."""

    exit_code = EXIT_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Which server to call, and how long to wait for it."""

    target: str
    """The server's address."""

    timeout_s: float
    """The deadline of a call, in seconds."""

    tenant: str
    """Who calls; empty when not stated."""

    @contextmanager
    def open(self) -> Iterator[Client]:
        """A client; inside, failures of calls become one line and exit code 1, Ctrl-C cancels what runs and becomes 130."""
        try:
            with Client(self.target, timeout_s=self.timeout_s, tenant=self.tenant) as client:
                yield client
        except TierwayError as error:
            raise CallFailedError(self._explain(error)) from error
        except KeyboardInterrupt:
            click.echo(err=True)
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None

    def _explain(self, error: TierwayError) -> str:
        # Without a reason the error is gRPC's own: no server had a say.
        if isinstance(error, UnavailableError) and not error.reason:
            return one_line(
                f"no server at {self.target} ({error.message}); start one with `tierway serve`, or name it with --target"
            )
        if isinstance(error, DeadlineExceededError) and not error.reason:
            return f"no answer within {self.timeout_s:g} s from {self.target}; --timeout sets the limit"
        request = f" (request {error.request_id})" if error.request_id else ""
        return one_line(f"{error}{request}")


def connection_options(command: _Command) -> _Command:
    """Gives a command `--target`, `--timeout` and `--tenant`, as its argument `connection`."""

    @click.option(
        "--target",
        default="127.0.0.1:50051",
        envvar="TIERWAY_TARGET",
        show_default=True,
        show_envvar=True,
        help="The server's address.",
    )
    @click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="The most to wait for a call, in seconds.",
    )
    @click.option("--tenant", default="", envvar="TIERWAY_TENANT", show_envvar=True, help="Who calls.")
    @functools.wraps(command)
    def with_connection(*args: Any, target: str, timeout_s: float, tenant: str, **options: Any) -> Any:
        return command(*args, connection=Connection(target=target, timeout_s=timeout_s, tenant=tenant), **options)

    # functools.wraps forgets that click fills in the rest.
    return cast("_Command", with_connection)
