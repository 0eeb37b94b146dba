"""The options by which `ask`, `route` and `explain` state a query."""

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from tierway_client import Message, Preferences, QueryFields, Sampling

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--agent", default="", help="The calling agent."),
    click.option("--task-type", default="", help="What kind of work it is, a name of the server's configuration."),
    click.option("--model", "force_model", default="", help="The model that must answer."),
    click.option("--min-tier", type=int, help="The lowest tier that may answer, 1 to 5."),
    click.option("--max-tier", type=int, help="The highest tier that may answer, 1 to 5."),
    click.option("--max-cost-usd", type=float, help="The most that the request may cost, in USD."),
    click.option(
        "--latency-budget", "latency_budget_s", type=float, help="The longest time to the first token, in seconds."
    ),
    click.option("--min-compliance", type=float, help="The lowest compliance score of the model, 0 to 1."),
    click.option("--cost-quality", type=float, help="The dial from the cheapest model (0) to the best (1)."),
    click.option("--strategy", default="", help="How to choose among the models that may answer."),
    click.option("--region", "regions", multiple=True, help="A region that may answer; may be given several times."),
    click.option("--sticky-key", default="", help="What keeps you in the same arm of an experiment."),
    click.option(
        "--fallback/--no-fallback",
        "allow_fallback",
        default=None,
        help="Whether another model may answer in its place.",
    ),
    click.option("--system", default="", help="The application's instructions to the model."),
    click.option("--max-tokens", type=int, help="The most tokens to generate."),
    click.option("--temperature", type=float, help="Randomness, 0 (greedy) to 2."),
    click.option("--top-p", type=float, help="The probability mass kept, above 0 to 1."),
    click.option("--top-k", type=int, help="Only the k likeliest tokens are considered."),
    click.option("--seed", type=int, help="Makes sampling repeatable."),
    click.option("--stop", multiple=True, help="A text that ends the answer; may be given several times."),
    click.option("--request-id", default="", help="Your name for the request."),
)


def query_options(command: _Command) -> _Command:
    """Gives a command `PROMPT` and the options of a query, as its arguments `prompt` and `fields`, those of the client's calls."""

    @click.argument("prompt")
    @functools.wraps(command)
    def with_query(
        *args: Any,
        prompt: str,
        agent: str,
        task_type: str,
        force_model: str,
        min_tier: int | None,
        max_tier: int | None,
        max_cost_usd: float | None,
        latency_budget_s: float | None,
        min_compliance: float | None,
        cost_quality: float | None,
        strategy: str,
        regions: tuple[str, ...],
        sticky_key: str,
        allow_fallback: bool | None,
        system: str,
        max_tokens: int | None,
        temperature: float | None,
        top_p: float | None,
        top_k: int | None,
        seed: int | None,
        stop: tuple[str, ...],
        request_id: str,
        **options: Any,
    ) -> Any:
        asked = _read_stdin() if prompt == "-" else prompt
        fields = QueryFields(
            preferences=Preferences(
                agent=agent,
                task_type=task_type,
                force_model=force_model,
                min_tier=min_tier,
                max_tier=max_tier,
                max_cost_usd=max_cost_usd,
                latency_budget_s=latency_budget_s,
                min_compliance=min_compliance,
                cost_quality=cost_quality,
                strategy=strategy,
                regions=regions,
                sticky_key=sticky_key,
                allow_fallback=allow_fallback,
            ),
            sampling=Sampling(
                max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed, stop=stop
            ),
            request_id=request_id,
        )
        if system:
            fields["messages"] = [Message.system(system), Message.user(asked)]
        return command(*args, prompt=None if system else asked, fields=fields, **options)

    # Any: functools.wraps forgets that click fills in the rest.
    decorated: Any = with_query
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast("_Command", decorated)


def _read_stdin() -> str:
    try:
        text: str = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"standard input is not UTF-8: {error}", param_hint="PROMPT") from None
    # The line end belongs to the shell that wrote it, not to the question.
    return text.removesuffix("\n")
