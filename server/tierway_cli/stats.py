"""`tierway stats`: what the server has done since it started, and how breakers, limits and budgets stand."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import milliseconds, print_json, print_table, usd
from tierway_client import Stats


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def stats(*, connection: Connection, as_json: bool) -> None:
    """Shows decisions, answers, tokens, cost and errors since the server's start, and how breakers, limits and budgets stand."""
    with connection.open() as client:
        figures = client.get_stats()
    if as_json:
        print_json(figures)
        return
    click.echo(f"since {figures.count_start_time:%Y-%m-%d %H:%M:%S} UTC, {figures.in_flight} in flight")
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
    if figures.decisions_by_strategy:
        print_table(("strategy", "decisions"), figures.decisions_by_strategy.items())
    for experiment, arms in figures.decisions_by_experiment.items():
        print_table((f"arm of {experiment}", "decisions"), arms.items())
    _print_standing(figures)


def _print_standing(figures: Stats) -> None:
    print_table(
        ("deployment", "breaker", "errors", "in flight", "first token", "each token", "requests/min", "tokens/min"),
        [
            (
                each.deployment,
                each.breaker.name.lower().replace("_", " ") + (", held" if each.breaker_forced else ""),
                f"{each.error_share:.0%}",
                each.in_flight,
                milliseconds(each.first_token_s),
                milliseconds(each.token_s),
                each.minute_requests,
                each.minute_tokens,
            )
            for each in figures.deployments
        ],
    )
    if figures.limits:
        print_table(
            ("limit", "room in", "refused"),
            [
                (each.limit, milliseconds(each.wait_s) if each.wait_s else "now", each.refusals)
                for each in figures.limits
            ],
        )
    if figures.budgets:
        print_table(
            ("budget", "limit", "spent", "reserved", "left", "kind", "refused"),
            [
                (
                    each.budget,
                    usd(each.limit_usd),
                    usd(each.spent_usd),
                    usd(each.reserved_usd),
                    usd(each.remaining_usd),
                    "hard" if each.hard else "soft",
                    each.refusals,
                )
                for each in figures.budgets
            ],
        )
