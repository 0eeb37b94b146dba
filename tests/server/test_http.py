import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.asking import execute
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.running import RunningServer, until
from tests.server.scrape import scrape, value
from tests.server.scripted_engine import ScriptedLauncher

# What these versions of Prometheus send, in short.
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


async def test_a_ready_server_is_healthy_and_ready(server: RunningServer) -> None:
    health, ready = await server.http.get("/health"), await server.http.get("/ready")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert health.headers["content-type"] == ready.headers["content-type"] == "application/json"


async def test_a_starting_server_is_healthy_and_not_ready(serve: Serve) -> None:
    launcher = ScriptedLauncher()
    launcher.gate = asyncio.Event()
    server = await serve(only(five_tiers(), "nano"), launcher, ready=False)
    health, ready = await server.http.get("/health"), await server.http.get("/ready")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})


async def test_a_server_whose_only_engine_died_is_not_ready_until_the_next_life(serve: Serve) -> None:
    server = await serve(only(five_tiers(), "nano"))
    server.launcher.gate = asyncio.Event()
    server.engine().death.set()
    await until(lambda: not server.process.deployments.is_ready)
    assert (await server.http.get("/ready")).status_code == 503
    server.launcher.gate.set()
    await until(lambda: server.process.deployments.is_ready)
    assert (await server.http.get("/ready")).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/models", 404), ("/docs", 404)])
async def test_there_is_nothing_else(server: RunningServer, path: str, status: int) -> None:
    assert (await server.http.get(path)).status_code == status


async def test_nothing_is_to_be_written(server: RunningServer) -> None:
    assert (await server.http.post("/metrics")).status_code == 405


class TestMetrics:
    async def test_are_prometheus_text_by_default(self, server: RunningServer) -> None:
        reply = await server.http.get("/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=")
        assert list(text_string_to_metric_families(reply.text))

    @pytest.mark.parametrize("accept", [PROMETHEUS_2, PROMETHEUS_3])
    async def test_spell_every_name_as_it_is_whatever_the_scraper_would_prefer(
        self, server: RunningServer, accept: str
    ) -> None:
        reply = await server.http.get("/metrics", headers={"accept": accept})
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        names = {sample.name for family in text_string_to_metric_families(reply.text) for sample in family.samples}
        assert {"vllm:request_success_total", "tierway_deployment_available", "grpc_server_started_total"} <= names

    async def test_carry_every_engines_own_metrics_in_one_family(self, server: RunningServer) -> None:
        await server.router.Execute(execute())
        await server.router.Execute(execute(min_tier=4))
        await server.router.Execute(execute(min_tier=4))
        reply = await server.http.get("/metrics")
        assert reply.text.count("# TYPE vllm:request_success_total counter") == 1
        samples = await scrape(server)
        by_engine = {
            name: value(samples, "vllm:request_success_total", model_name=name) for name in server.launcher.engines
        }
        assert by_engine == {"nano": 1, "fast": 0, "balanced": 0, "premium": 2, "expert": 0}

    async def test_are_the_same_however_often_they_are_read(self, server: RunningServer) -> None:
        assert await scrape(server) == await scrape(server)

    async def test_lose_an_engine_that_died_and_have_its_next_life(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(), "nano"))
        await server.router.Execute(execute())
        server.launcher.gate = asyncio.Event()
        server.engine().death.set()
        await until(lambda: not server.process.deployments.is_ready)
        assert value(await scrape(server), "vllm:request_success_total", model_name="nano") is None
        server.launcher.gate.set()
        await until(lambda: server.process.deployments.is_ready)
        assert value(await scrape(server), "vllm:request_success_total", model_name="nano") == 0
