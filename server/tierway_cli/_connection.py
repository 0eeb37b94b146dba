"""How the commands reach a server, and how they say that a call failed: one line on stderr and an exit code."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from tierway_cli._output import one_line
from tierway_client import AdminClient, Client, DeadlineExceededError, TierwayError, UnavailableError

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
        with (
            _failures_shown(self.target, self.timeout_s),
            Client(self.target, timeout_s=self.timeout_s, tenant=self.tenant) as client,
        ):
            yield client


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminConnection:
    """Which server to administer, and how long to wait for it."""

    target: str
    """The address of its administrators' port."""

    timeout_s: float
    """The deadline of a call, in seconds."""

    @contextmanager
    def open(self) -> Iterator[AdminClient]:
        """A client; what fails inside is shown as by `Connection.open`."""
        with (
            _failures_shown(self.target, self.timeout_s),
            AdminClient(self.target, timeout_s=self.timeout_s) as client,
        ):
            yield client


def connection_options(command: _Command) -> _Command:
    """Gives a command `--target`, `--timeout` and `--tenant`, as its argument `connection`."""

    @_target_option("127.0.0.1:50051", "TIERWAY_TARGET", "The server's address.")
    @_timeout_option
    @click.option("--tenant", default="", envvar="TIERWAY_TENANT", show_envvar=True, help="Who calls.")
    @functools.wraps(command)
    def with_connection(*args: Any, target: str, timeout_s: float, tenant: str, **options: Any) -> Any:
        return command(*args, connection=Connection(target=target, timeout_s=timeout_s, tenant=tenant), **options)

    # functools.wraps forgets that click fills in the rest.
    return cast("_Command", with_connection)


def admin_connection_options(command: _Command) -> _Command:
    """Gives a command `--target` and `--timeout`, as its argument `connection` to the administrators' port."""

    @_target_option("127.0.0.1:50052", "TIERWAY_ADMIN_TARGET", "The address of the administrators' port.")
    @_timeout_option
    @functools.wraps(command)
    def with_connection(*args: Any, target: str, timeout_s: float, **options: Any) -> Any:
        return command(*args, connection=AdminConnection(target=target, timeout_s=timeout_s), **options)

    return cast("_Command", with_connection)


def _target_option(default: str, variable: str, meaning: str) -> Callable[[_Command], _Command]:
    return click.option("--target", default=default, envvar=variable, show_default=True, show_envvar=True, help=meaning)


def _timeout_option(command: _Command) -> _Command:
    return click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="The most to wait for a call, in seconds.",
    )(command)


@contextmanager
def _failures_shown(target: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TierwayError as error:
        raise CallFailedError(_explained(error, target, timeout_s)) from error
    except KeyboardInterrupt:
        click.echo(err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


def _explained(error: TierwayError, target: str, timeout_s: float) -> str:
    # Without a reason the error is gRPC's own: no server had a say.
    if isinstance(error, UnavailableError) and not error.reason:
        return one_line(
            f"no server at {target} ({error.message}); start one with `tierway serve`, or name it with --target"
        )
    if isinstance(error, DeadlineExceededError) and not error.reason:
        return f"no answer within {timeout_s:g} s from {target}; --timeout sets the limit"
    request = f" (request {error.request_id})" if error.request_id else ""
    return one_line(f"{error}{request}")
