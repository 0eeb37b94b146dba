"""The moments around the end of an engine that no test on a real engine can time: vLLM's face is a fake here, the processes are real."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry

from tests.server.running import until
from tierway_server.backends import vllm_engine
from tierway_server.backends.base import Generation, Message, Role, Sampling
from tierway_server.backends.vllm_engine import VllmEngine
from tierway_server.config import EngineConfig
from tierway_server.errors import EngineLostError, ModelUnavailableError

_SOON_S = 10.0


def test_a_parser_that_is_unknown_is_told_before_the_weights_are_looked_for() -> None:
    # A configuration would be refused; this one was read where vLLM could not be asked.
    config = EngineConfig(model="/nowhere", context_tokens=64).model_copy(update={"tool_parser": "nobody"})
    with mock.patch.dict(os.environ), pytest.raises(ModelUnavailableError, match='no tool parser "nobody"'):
        vllm_engine._launch("e", "/nowhere", config, threading.Event())


class Core:
    """A process that stands for EngineCore."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.pid = self._process.pid

    def join(self) -> None:
        self._process.communicate()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Llm:
    """As much of AsyncLLM as an engine uses. Adding waits for `may_add`; nothing is ever answered."""

    model_config = SimpleNamespace(max_model_len=4_096)

    def __init__(self) -> None:
        self.may_add = asyncio.Event()
        self.is_adding = asyncio.Event()
        self.aborted: list[str] = []
        self.hangs = False
        self.asked = 0

    def get_tokenizer(self) -> Any:
        encoded = SimpleNamespace(ids=[1, 2, 3])
        return SimpleNamespace(
            apply_chat_template=lambda *_, **__: "Hello",
            backend_tokenizer=SimpleNamespace(encode=lambda *_, **__: encoded),
        )

    async def add_request(self, *_: object) -> Any:
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.output_processor import RequestOutputCollector

        self.is_adding.set()
        await self.may_add.wait()
        return RequestOutputCollector(RequestOutputKind.DELTA, "one")

    async def is_sleeping(self) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        self.asked += 1
        return False

    async def abort(self, request_id: str) -> None:
        self.aborted.append(request_id)

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture
def core() -> Iterator[Core]:
    process = Core()
    yield process
    process.kill()


@pytest.fixture
def llm() -> Llm:
    return Llm()


@pytest.fixture
def engine(llm: Llm, core: Core) -> VllmEngine:
    config = EngineConfig.model_validate({"model": "/nowhere", "context_tokens": 4096, "idle_timeout_s": 0.2})
    return VllmEngine(llm, config, CollectorRegistry(), [core])  # type: ignore[arg-type]  # fakes


async def answer(engine: VllmEngine) -> None:
    question = Generation(id="one", messages=(Message(Role.USER, "Hello"),), sampling=Sampling(), max_tokens=4)
    async for _ in engine.generate(question):
        pass


async def test_a_request_under_way_fails_when_the_engine_dies(engine: VllmEngine, llm: Llm, core: Core) -> None:
    llm.may_add.set()
    answering = asyncio.create_task(answer(engine))
    await llm.is_adding.wait()
    core.kill()
    async with asyncio.timeout(_SOON_S):
        assert await engine.over() == "died"
        with pytest.raises(EngineLostError):
            await answering
    assert llm.aborted == ["one"]


async def test_a_request_that_is_being_added_while_the_engine_dies_fails_at_once(
    engine: VllmEngine, llm: Llm, core: Core
) -> None:
    answering = asyncio.create_task(answer(engine))
    await llm.is_adding.wait()
    core.kill()
    async with asyncio.timeout(_SOON_S):
        assert await engine.over() == "died"
        llm.may_add.set()
        with pytest.raises(EngineLostError):
            await answering
    assert llm.aborted == ["one"]


async def test_a_process_that_was_gone_before_it_was_watched_counts_as_dead(engine: VllmEngine, core: Core) -> None:
    core.kill()  # and reaped: there is no descriptor of it any more
    async with asyncio.timeout(_SOON_S):
        assert await engine.over() == "died"


async def test_an_engine_that_answers_nothing_hangs_and_a_request_under_way_fails(engine: VllmEngine, llm: Llm) -> None:
    llm.hangs = True
    llm.may_add.set()
    answering = asyncio.create_task(answer(engine))
    await llm.is_adding.wait()
    async with asyncio.timeout(_SOON_S):
        assert await engine.over() == "hung"
        with pytest.raises(EngineLostError):
            await answering


async def test_an_engine_lives_while_its_processes_do_and_it_answers(engine: VllmEngine, llm: Llm) -> None:
    over = asyncio.create_task(engine.over())
    await until(lambda: llm.asked == 3)
    assert not over.done()
    over.cancel()
    with pytest.raises(asyncio.CancelledError):
        await over
    assert asyncio.all_tasks() == {asyncio.current_task()}
