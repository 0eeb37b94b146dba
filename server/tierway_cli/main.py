"""The command's entry: which subcommands there are."""

import sys
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper

import click

from tierway_cli.admin import admin
from tierway_cli.ask import ask
from tierway_cli.config import config
from tierway_cli.evaluate import evaluate
from tierway_cli.explain import explain
from tierway_cli.fit import fit
from tierway_cli.models import models
from tierway_cli.route import route
from tierway_cli.score import score
from tierway_cli.serve import serve
from tierway_cli.simulate import simulate
from tierway_cli.stats import stats


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        try:
            installed = version("tierway")
        except PackageNotFoundError:
            installed = "(not installed)"
        click.echo(f"tierway {installed}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Serves Tierway, and asks a Tierway server.

    Exit codes: 0 done, 1 the call or the check failed, 2 wrong usage, 130 interrupted.
    """


for _command in (serve, ask, route, explain, score, models, stats, admin, config, fit, evaluate, simulate):
    cli.add_command(_command)


def main() -> None:
    """Runs the command. The console script `tierway` is this."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character of an answer is no reason to lose the rest of it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    cli(prog_name="tierway")
