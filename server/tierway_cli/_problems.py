"""How the commands show what is wrong with a configuration: one line a problem on stderr, exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from tierway_cli._connection import EXIT_FAILED


@contextmanager
def problems_shown() -> Iterator[None]:
    """Inside, a ConfigError becomes its lines and exit code 1."""
    # Imported late: pydantic is not for those who only ask.
    from tierway_server.config import ConfigError

    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None
