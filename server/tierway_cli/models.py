"""`tierway models`: what is configured, and what can answer now."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import milliseconds, print_json, print_table


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="The models as one JSON array.")
def models(*, connection: Connection, as_json: bool) -> None:
    """Lists the models of the server, one line a deployment, and why those that cannot answer cannot."""
    with connection.open() as client:
        listed = tuple(client.list_models())
    if as_json:
        print_json(listed)
        return
    print_table(
        ("tier", "model", "deployment", "status", "context", "vision", "compliance", "USD/M in", "USD/M out", "TTFT"),
        [
            (
                model.tier,
                model.name,
                deployment.name,
                "available" if deployment.available else f"unavailable: {deployment.unavailable_reason}",
                deployment.context_tokens,
                "yes" if model.vision else "no",
                f"{model.compliance_score:.2f}",
                f"{model.input_usd_per_million_tokens:g}",
                f"{model.output_usd_per_million_tokens:g}",
                milliseconds(deployment.expected_latency_s),
            )
            for model in listed
            for deployment in model.deployments
        ],
    )
