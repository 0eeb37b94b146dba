"""Fleets with a policy, and who asks for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.fleet import Document, five_tiers
from tests.server.running import RunningServer
from tierway.v1 import router_service_pb2 as rpc

HOUR_S = 3_600
"""So long a period that no test sees its end."""


def granting(document: Document | None = None, **sections: Any) -> Document:
    """Five tiers (or `document`) with these sections."""
    return (document or five_tiers()) | sections


def at_once(requests: int) -> Document:
    """A rate limit that lets so many requests come at once, and then none for as long as a test lasts."""
    return {"requests": 1, "period_s": HOUR_S, "burst": requests}


def sharing_by(document: Document, folder: Path, url: str, **settings: Any) -> Document:
    """`document` for servers that share their state through the Redis at `url`, which stands in a file in `folder`."""
    (folder / "url").write_text(url)
    return granting(document, shared_state={"redis": f"file:{folder / 'url'}", **settings})


def of(tenant: str) -> dict[str, Any]:
    """The options of a call that a tenant makes."""
    return {"metadata": (("tierway-tenant", tenant),)}


async def stats_of(server: RunningServer) -> rpc.GetStatsResponse:
    """What the server has done, and how it stands."""
    reply: rpc.GetStatsResponse = await server.router.GetStats(rpc.GetStatsRequest())
    return reply


async def budget_of(server: RunningServer, name: str) -> rpc.BudgetStats:
    """How one budget stands."""
    [found] = [budget for budget in (await stats_of(server)).budgets if budget.budget == name]
    return found


async def standing_of(server: RunningServer, model: str = "nano") -> rpc.DeploymentStats:
    """How the deployment of a model stands."""
    [found] = [each for each in (await stats_of(server)).deployments if each.deployment == f"{model}@{model}"]
    return found


def picousd(usd: float) -> int:
    return round(usd * 1e12)
