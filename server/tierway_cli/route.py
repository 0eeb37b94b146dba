"""`tierway route`: which model would answer, and why."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import number, print_json, print_table, usd
from tierway_cli._query_options import query_options
from tierway_client import Decision, QueryFields


def assessed(decision: Decision) -> list[tuple[str, str]]:
    """What the server's classifier adds to a decision, as rows of a table; nothing where it is turned off."""
    if decision.confidence is None:
        return []
    return [
        ("domain", decision.domain),
        ("label", decision.label.name.lower()),
        ("difficulty", number(decision.difficulty)),
        ("confidence", number(decision.confidence)),
        ("expected quality", number(decision.expected_quality)),
        ("cost to quality", f"{number(decision.cost_quality)} (0 cheapest, 1 best)"),
    ]


def steered(decision: Decision) -> list[tuple[str, str]]:
    """What the server's rules and experiments did to a decision, as rows of a table; nothing where they did nothing."""
    rows = [("rule", decision.rule), ("experiment", decision.experiment), ("arm", decision.arm)]
    rows.append(("arm's model", decision.shadow_model))
    return [(name, value) for name, value in rows if value]


@click.command()
@query_options
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The decision as one JSON object.")
def route(*, prompt: str | None, fields: QueryFields, connection: Connection, as_json: bool) -> None:
    """Shows which model would answer PROMPT (`-`: standard input), and why. Asks no model."""
    with connection.open() as client:
        decision = client.route(prompt, **fields)
    if as_json:
        print_json(decision)
        return
    print_table(
        ("decision", decision.decision_id),
        [
            ("model", decision.model),
            ("tier", decision.tier),
            ("deployment", f"{decision.deployment} ({decision.provider})"),
            ("complexity", decision.complexity.name.lower()),
            ("strategy", decision.strategy),
            *steered(decision),
            *assessed(decision),
            ("estimated cost", usd(decision.estimated_cost_usd)),
            ("compliance", f"{decision.compliance_score:.2f}"),
            ("falls back to", ", ".join(decision.fallback_chain) or "-"),
            ("constitution", decision.constitution_hash),
            ("request", decision.request_id),
        ],
    )
    print_table(
        ("reason", "about", "why"),
        [(reason.code.name.lower(), reason.subject, reason.detail) for reason in decision.reasons],
    )
