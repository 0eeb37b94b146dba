"""`tierway stats`: what the server has done since it started, and how breakers, limits and budgets stand."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import breaker, milliseconds, percentage, print_json, print_table, usd
from tierway_client import AnswerStats, Stats


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def stats(*, connection: Connection, as_json: bool) -> None:
    """Shows decisions, answers, tokens, cost and errors since the server's start, and how breakers, queues, limits and budgets stand."""
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
    _print_answers(figures.answers)
    _print_standing(figures)


def _print_answers(answers: AnswerStats) -> None:
    """What it took beside asking the first choice once; what never happened is left out."""
    looked_up = answers.cache_hits + answers.cache_shared + answers.cache_misses
    lines = (
        ("judged", answers.judged, ""),
        ("weak", answers.weak, "ALARM: more than may be" if answers.weak_alarm else ""),
        ("escalated", answers.escalated, _share(answers.escalation_share, "judged") if answers.judged else ""),
        ("weak, and shown all the same", answers.forgone, ""),
        ("fallbacks", answers.fallbacks, ""),
        ("takeovers", answers.takeovers, ""),
        ("retries", answers.retries, f"{answers.retries_refused} more refused" if answers.retries_refused else ""),
        ("hedges", answers.hedges, f"{answers.hedges_won} won" if answers.hedges else ""),
        (
            "from the cache",
            answers.cache_hits,
            _share(answers.cache_hits / looked_up, "looked up") if looked_up else "",
        ),
        ("shared with another", answers.cache_shared, ""),
        ("not in the cache", answers.cache_misses, ""),
    )
    happened = [line for line in lines if any(line[1:])]
    if happened:
        print_table(("answers", "count", ""), happened)


def _share(share: float, whole: str) -> str:
    return f"{percentage(round(share, 4))} of the {whole}"


def _print_standing(figures: Stats) -> None:
    print_table(
        ("deployment", "breaker", "errors", "in flight", "first token", "each token", "requests/min", "tokens/min"),
        [
            (
                each.deployment,
                breaker(each),
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
    queues = [
        (each.deployment, lane.name.lower(), waiting, each.shed[lane])
        for each in figures.deployments
        for lane, waiting in each.waiting.items()
        if waiting or each.shed[lane]
    ]
    if queues:
        print_table(("queue of", "lane", "waiting", "shed"), queues)
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
