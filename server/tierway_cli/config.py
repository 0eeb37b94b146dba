"""`tierway config`: checks a configuration without serving it, and publishes its schema."""

import json
import os
from pathlib import Path

import click

from tierway_cli._problems import problems_shown


@click.group()
def config() -> None:
    """Checks configuration files, and shows what may be in them."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(*, file: Path) -> None:
    """Checks FILE and shows all that is wrong with it, a line each."""
    with problems_shown():
        from tierway_server.config import load

        loaded = load(file, environ=os.environ)
    click.echo(f"{file}: valid, {len(loaded.models)} models")


@config.command()
def schema() -> None:
    """Prints the JSON Schema of configuration files; editors complete by it."""
    from tierway_server.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
