"""`tierway ask`: the answer as it comes, then what it took."""

import sys

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import milliseconds, one_line, print_json, printable, usd
from tierway_cli._query_options import query_options
from tierway_client import (
    Attempt,
    AttemptFailed,
    AttemptOutcome,
    Decision,
    Delta,
    Finished,
    FinishReason,
    QueryFields,
    Stream,
)


@click.command()
@query_options
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The whole answer as one JSON object.")
def ask(*, prompt: str | None, fields: QueryFields, connection: Connection, as_json: bool) -> None:
    """Asks PROMPT (`-`: standard input) and streams the answer.

    The answer goes to standard output; what it took (tier, model, time to first token, tokens/s, cost) to standard error.
    """
    with connection.open() as client:
        if as_json:
            print_json(client.execute(prompt, **fields))
            return
        with client.stream(prompt, **fields) as stream:
            _print_text(stream)
        if stream.started is not None and stream.finished is not None:
            click.echo(summary(stream.started.decision, stream.finished), err=True)


def _print_text(stream: Stream) -> None:
    is_terminal = sys.stdout.isatty()
    line_is_open = False
    try:
        for event in stream:
            match event:
                case Delta(text=text) if text:
                    # Noted first: Ctrl-C may come in the middle of the writing.
                    line_is_open = not text.endswith("\n")
                    click.echo(printable(text) if is_terminal else text, nl=False)
                case AttemptFailed(attempt=attempt):
                    click.echo(one_line(f"{attempt.deployment} {_told(attempt)}"), err=True)
    finally:
        # Whatever is said next, an error too, begins on a line of its own.
        if line_is_open:
            click.echo()


def _told(attempt: Attempt) -> str:
    """How a try ended that is not the last one."""
    match attempt.outcome:
        case AttemptOutcome.ESCALATED:
            return "seemed unsure, asking one tier up"
        case AttemptOutcome.OUTRUN:
            return "was slower than another"
        case _:
            return f"failed ({attempt.reason}), trying the next"


def summary(decision: Decision, finished: Finished) -> str:
    """What an answer took, on one line."""
    model = decision.model
    if finished.attempts and finished.attempts[-1].model != model:
        model = f"{finished.attempts[-1].model} (in place of {model})"
    parts = [
        f"tier {decision.tier}",
        model,
        f"TTFT {milliseconds(finished.timings.time_to_first_token_s)}",
        _speed(finished),
        usd(finished.cost_usd),
    ]
    if finished.finish_reason is not FinishReason.STOP:
        parts.append(f"ended by {finished.finish_reason.name.lower()}")
    return one_line(" · ".join(parts))


def _speed(finished: Finished) -> str:
    """Tokens a second while decoding: the first token's wait is the TTFT's, so neither it nor its time counts."""
    ttft_s = finished.timings.time_to_first_token_s
    # What was held back had been decoding for as long.
    decode_s = finished.timings.total_s - ttft_s + finished.timings.hold_s if ttft_s is not None else 0.0
    if finished.usage.output_tokens < 2 or decode_s <= 0:
        return f"{finished.usage.output_tokens} tokens"
    return f"{(finished.usage.output_tokens - 1) / decode_s:.1f} tokens/s"
