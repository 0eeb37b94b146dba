"""`tierway route`: which model would answer, and why."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import print_json, print_table, usd
from tierway_cli._query_options import query_options
from tierway_client import QueryFields


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
            ("confidence", "-" if decision.confidence is None else f"{decision.confidence:.2f}"),
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
