"""`tierway serve`: runs the server."""

import sys
from pathlib import Path

import click

from tierway_cli._problems import problems_shown


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration file. Default: the embedded one, which needs nothing.",
)
@click.option(
    "--listen", metavar="HOST:PORT", help="Where gRPC is served; port 0 picks a free one. Overrides server.listen."
)
@click.option("--admin-listen", metavar="HOST:PORT", help="Where channelz is served. Overrides server.admin_listen.")
@click.option(
    "--http-listen", metavar="HOST:PORT", help="Where health and metrics are served. Overrides server.http_listen."
)
@click.option(
    "--workers", metavar="N", help="How many processes decide and answer on the one port. Overrides server.workers."
)
def serve(
    *,
    config_path: Path | None,
    listen: str | None,
    admin_listen: str | None,
    http_listen: str | None,
    workers: str | None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    stated = {
        "server.listen": listen,
        "server.admin_listen": admin_listen,
        "server.http_listen": http_listen,
        "server.workers": workers,
    }
    overrides = {key: value for key, value in stated.items() if value is not None}
    with problems_shown():
        # Imported late: the engine is not for those who only ask.
        from tierway_server.app import serve as run_server

        sys.exit(run_server(config_path, overrides))
