"""The server's side of sharing: what is refused, and what is said when Redis is lost. Servers that share are in
test_shared_servers.py, what is shared in tests/shared."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.conftest import Serve
from tests.server.fleet import Document, five_tiers, only
from tests.server.granting import sharing_by
from tests.server.running import until
from tests.server.scrape import scrape, value
from tests.shared.redis_server import RedisServer
from tierway_server.app import Process
from tierway_server.config import ConfigError, parse
from tierway_server.telemetry import semconv


def sharing(folder: Path, url: str, **settings: object) -> Document:
    """A server of one tier that shares."""
    return sharing_by(only(five_tiers(), "nano"), folder, url, **settings)


@pytest.fixture
def redis_server(tmp_path: Path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


async def test_losing_redis_is_told_in_health_and_metrics_and_is_no_reason_to_be_out_of_service(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    server = await serve(sharing(tmp_path, redis_server.url, sync_s=0.01, lost_after_s=0.2))
    keeper = server.process.keeper
    assert keeper is not None
    await until(lambda: keeper.replicas == 1)
    assert (await server.http.get("/ready")).json() == {"status": "ready"}
    redis_server.kill()
    await until(lambda: keeper.is_lost)
    ready = await server.http.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["degraded"].startswith("shared state: Redis has not answered for ")
    scraped = await scrape(server)
    assert value(scraped, semconv.SHARED_LOST) == 1
    assert value(scraped, semconv.SHARED_REPLICAS) == 1
    assert value(scraped, semconv.SHARED_AGE_SECONDS) > 0
    assert value(scraped, semconv.SHARED_ROUNDS, outcome="answered") > 0
    redis_server.start()
    await until(lambda: not keeper.is_lost)
    assert (await server.http.get("/ready")).json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"redis": "redis://localhost"}, "shared_state.redis: must be a reference"),
        ({"lost_after_s": 0.4}, "shared_state.lost_after_s: must be at least 5 times sync_s, which is 0.5"),
        ({"sync_s": 0}, "shared_state.sync_s: must be at least 0.01"),
        ({"lease_share": 1.5}, "shared_state.lease_share: must be at most 1"),
        ({"namespace": "{a}"}, "shared_state.namespace: must be a name"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(sharing(tmp_path, "redis://localhost", **settings))
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://someone:secret@localhost", "the URL must begin with redis://, rediss:// or unix://"),
        ("", "url is empty"),
    ],
)
async def test_a_url_that_is_none_is_refused_and_not_told(tmp_path: Path, url: str, problem: str) -> None:
    config = parse(sharing(tmp_path, url))
    with pytest.raises(ConfigError) as refused:
        Process(config, {})
    assert str(refused.value).startswith("shared_state.redis: ")
    assert str(refused.value).endswith(problem)


def test_without_it_nothing_of_redis_is_imported() -> None:
    script = (
        "import sys, tierway_server.app; print([name for name in sys.modules if 'redis' in name or 'shared.' in name])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
