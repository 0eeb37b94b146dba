"""Small fleets to simulate: prices, paces and chains are stated where a test speaks of them."""

from array import array

from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core import Classifier, ModelSpec
from tierway_sim import Fleet, Pace, Query, Traffic

NS = 1_000_000_000


def placed(name: str, provider: str, price_picousd: int = 1000, *, tier: int = 1, **changes) -> ModelSpec:
    """A model with one deployment, called `<name>@<provider>`; `limits` and `breaker` are the deployment's."""
    of_deployment = {key: changes.pop(key) for key in ("limits", "breaker") if key in changes}
    deployment = make_deployment(f"{name}@{provider}", provider=provider, **of_deployment)
    return make_model(name, tier, price_picousd, deployments=(deployment,), **changes)


def make_fleet(
    *models: ModelSpec, paces: dict[str, Pace] | None = None, classifier: Classifier | None = None, **routing
) -> Fleet:
    """A fleet whose deployments take 1 s to the first token and 0.1 s for each further one, unless stated by model."""
    table = make_table(*models, **routing)
    common = Pace(first_token_s=1.0, token_s=0.1)
    found = [(paces or {}).get(deployment.model.name, common) for deployment in table.deployments]
    return Fleet(name="fleet", table=table, classifier=classifier, paces=found)


def asked_at(*times_s: float, prompt: str = "hi", output_tokens: int = 11, **fields) -> Traffic:
    """The same query at these times; its answer takes 1 s more than its first token."""
    return Traffic(
        pool=[Query(prompt=prompt, output_tokens=output_tokens, **fields)],
        order=array("i", [0] * len(times_s)),
        at_ns=array("q", [int(time_s * NS) for time_s in times_s]),
    )
