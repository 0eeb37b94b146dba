"""`tierway stats`: what the server has done since it started."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import print_json, print_table, usd


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def stats(*, connection: Connection, as_json: bool) -> None:
    """Shows decisions, answers, tokens, cost and errors since the server's start."""
    with connection.open() as client:
        figures = client.get_stats()
    if as_json:
        print_json(figures)
        return
    click.echo(f"since {figures.start_time:%Y-%m-%d %H:%M:%S} UTC, {figures.in_flight} in flight")
    if figures.classifier is not None:
        calibration = figures.classifier.calibration or "none"
        click.echo(f"classifier {figures.classifier.weights}, calibration {calibration}")
    print_table(
        ("model", "decisions", "answers", "failures", "tokens in", "cached", "tokens out", "cost"),
        [
            (
                each.model,
                each.decisions,
                each.answers,
                each.failures,
                each.usage.input_tokens,
                each.usage.cached_input_tokens,
                each.usage.output_tokens,
                usd(each.cost_usd),
            )
            for each in figures.models
        ],
    )
    if figures.decisions_by_tier:
        print_table(("tier", "decisions"), figures.decisions_by_tier.items())
    if figures.errors_by_reason:
        print_table(("error", "count"), figures.errors_by_reason.items())
