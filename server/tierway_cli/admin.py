"""`tierway admin`: what an operator changes while the server runs, on the administrators' port."""

import click

from tierway_cli._connection import AdminConnection, admin_connection_options
from tierway_cli._output import breaker, print_json
from tierway_client import BreakerSetting

_SETTINGS = {
    setting.name.lower(): setting for setting in (BreakerSetting.OPEN, BreakerSetting.CLOSED, BreakerSetting.AUTOMATIC)
}


@click.group()
def admin() -> None:
    """Changes how a running server behaves. Nothing of it is kept beyond the server's life."""


@admin.command("reset-stats")
@admin_connection_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reset_stats(*, connection: AdminConnection, as_json: bool) -> None:
    """Begins the counts of `tierway stats` anew. Breakers, limits and budgets stay as they are, and `/metrics` goes on."""
    with connection.open() as client:
        count_start_time = client.reset_stats()
    if as_json:
        print_json({"count_start_time": count_start_time})
        return
    click.echo(f"counting since {count_start_time:%Y-%m-%d %H:%M:%S} UTC")


@admin.command("breaker")
@click.argument("deployment")
@click.argument("setting", type=click.Choice(tuple(_SETTINGS)))
@admin_connection_options
@click.option("--json", "as_json", is_flag=True, help="How the deployment stands now, as one JSON object.")
def set_breaker(*, deployment: str, setting: str, connection: AdminConnection, as_json: bool) -> None:
    """Holds the circuit breaker of DEPLOYMENT open (nothing passes) or closed (all passes), or gives it back to its automaton."""
    with connection.open() as client:
        now = client.set_breaker(deployment, _SETTINGS[setting])
    if as_json:
        print_json(now)
        return
    click.echo(f"{now.deployment}: {breaker(now)}")
