"""One life of a vLLM engine in this process: launch it, generate, bring it down.

vLLM is imported here and in the modules beside it that serve this one, and lazily: the import takes seconds, and most commands never need
it. Keeping an engine alive over several lives is `supervisor.py`'s affair.

`AsyncLLM` runs the engine proper (EngineCore) and its workers in processes of their own; `vllm_life.py` notices their end.
Requests are added and read through `add_request` and its collector, not through `generate()`: so the abort in
our `finally` is the only one, in one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tierway_server.backends import vllm_life as life
from tierway_server.backends.base import Chunk, Generation, Message, Role, Sampling, Usage
from tierway_server.backends.coalesce import CoalescingReader
from tierway_server.backends.room import tokens_to_generate
from tierway_server.backends.vllm_params import chunk_logprobs, finish_reason, sampling_params
from tierway_server.backends.vllm_plugin import ENVIRONMENT_KEY
from tierway_server.backends.vllm_prompt import Prompter, offered
from tierway_server.backends.vllm_tools import Calls, ToolParsing, check_tool_parser
from tierway_server.errors import (
    EngineLostError,
    NotOfferedError,
    StreamBrokenError,
    TierwayError,
)

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from vllm.v1.engine.async_llm import AsyncLLM

    from tierway_server.config import EngineConfig

logger = logging.getLogger(__name__)

# How long EngineCore may take to end its workers and give back shared memory, before it is killed.
_SHUTDOWN_S = 5.0

# Launches go one at a time: the environment that vLLM reads, and the list of child processes, belong to the whole process.
_launching = threading.Lock()


class VllmEngine:
    """A running engine. Touched from the event loop only, but for `shutdown`, which blocks and belongs in a thread."""

    def __init__(
        self, llm: AsyncLLM, config: EngineConfig, registry: CollectorRegistry, cores: Sequence[BaseProcess]
    ) -> None:
        self.registry = registry
        """vLLM's own metrics of this life of the engine."""
        self._llm = llm
        self._config = config
        self._cores = cores
        self._processes = [
            process
            for core in map(psutil.Process, filter(None, (core.pid for core in cores)))
            for process in (core, *core.children(recursive=True))
        ]
        tokenizer: Any = llm.get_tokenizer()
        self._prompter = Prompter(tokenizer)
        self._tools = ToolParsing(config.tool_parser, tokenizer) if config.tool_parser else None
        self._context_tokens: int = llm.model_config.max_model_len
        self._is_dead = False
        self._readers: set[CoalescingReader] = set()

    async def warm_up(self) -> None:
        """Answer once, so that no caller pays for what the engine prepares at its first step."""
        hello = Generation(
            id="warm-up", messages=(Message(Role.USER, "Hello"),), sampling=Sampling(top_logprobs=0), max_tokens=2
        )
        async with contextlib.aclosing(self.generate(hello)) as chunks:
            async for _ in chunks:
                pass

    async def over(self) -> str:
        """Return when one of the engine's processes has ended, or when it hangs, and which; the answers under way fail."""
        from vllm.v1.engine.exceptions import EngineDeadError

        reason = await life.over(self._processes, self._llm.is_sleeping, self._config.idle_timeout_s)
        # vLLM would tell them too, unless it is shut down first. Whoever is being added just now hears of it in `_reading`.
        self._is_dead = True
        for reader in self._readers:
            reader.fail(EngineDeadError())
        return reason

    def shutdown(self) -> None:
        """Bring the engine down and leave none of its processes behind. Blocks for up to some seconds; call it in a thread."""
        try:
            self._llm.shutdown(timeout=_SHUTDOWN_S)
        finally:
            # Collected now, vLLM's __del__ finds its modules; at the interpreter's exit it would print a traceback.
            del self._llm
            gc.collect()
            # What is being tokenised finds the engine dead afterwards; cancelled here, it would look like a caller who left.
            self._prompter.close()
            # EngineCore ends its workers; one that was itself killed could not.
            for process in self._processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            for core in self._cores:
                core.join()

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        llm = self._llm
        prompt = await self._prompter.tokens(generation)
        max_tokens = tokens_to_generate(generation, len(prompt), self._context_tokens)
        alternatives = generation.sampling.top_logprobs
        cached_tokens = output_tokens = 0
        finished = False
        try:
            async with self._reading(llm, generation, prompt, max_tokens) as (reader, calls):
                while not finished:
                    output = await reader.read()
                    finished = output.finished
                    completion = output.outputs[0]
                    cached_tokens = max(cached_tokens, output.num_cached_tokens or 0)
                    output_tokens += len(completion.token_ids)
                    if completion.finish_reason in ("abort", "error"):
                        raise _lost(output_tokens)
                    chunk = Chunk(
                        completion.text,
                        len(completion.token_ids),
                        chunk_logprobs(completion, alternatives) if alternatives is not None else (),
                        finish_reason(completion.finish_reason) if finished else None,
                        Usage(len(prompt), cached_tokens, output_tokens) if finished else None,
                    )
                    yield chunk if calls is None else calls.taken_out(chunk, completion.token_ids, prompt)
        except EngineDeadError:
            raise _lost(output_tokens) from None
        finally:
            if not finished:
                # By the external id, which is known even when cancelled inside add_request. Shielded, because a second
                # cancellation must not lose the abort.
                await asyncio.shield(llm.abort(generation.id))

    @contextlib.asynccontextmanager
    async def _reading(
        self, llm: AsyncLLM, generation: Generation, prompt: list[int], max_tokens: int
    ) -> AsyncIterator[tuple[CoalescingReader, Calls | None]]:
        """A reader of the generation, known to the engine while it reads, and what reads its calls if it may call."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            params = sampling_params(generation, max_tokens, self._config.default_temperature)
            calls = None
            if (tools := offered(generation)) is not None:
                if self._tools is None:
                    raise NotOfferedError("the engine has no tool parser", field="query.tools")
                calls = self._tools.begin(tools, params)
            collector = await llm.add_request(generation.id, tokens_input(prompt), params)
        except (VLLMClientError, ValueError) as refused:
            # vLLM's own text may quote the request: its type is enough for the log, and neither is for the client.
            logger.info(
                "generation refused by vLLM", extra={"generation": generation.id, "error": type(refused).__name__}
            )
            field = "query.tools" if generation.tools is not None else "sampling"
            if generation.json_schema is not None:
                field = "query.response_format"
            raise NotOfferedError("the engine cannot do what this field asks for", field=field) from None
        reader = CoalescingReader(collector, self._config.coalesce_window_s)
        self._readers.add(reader)
        if self._is_dead:
            reader.fail(EngineDeadError())
        try:
            yield reader, calls
        finally:
            self._readers.discard(reader)
            reader.close()


async def launch(name: str, folder: str, config: EngineConfig) -> VllmEngine:
    """Start an engine on the model in `folder`, and return it when it has answered for the first time.

    Args:
        name: labels vLLM's own metrics (`model_name`).
        folder: the model: configuration, tokenizer, safetensors.
        config: the engine's section of the configuration.

    Raises:
        Exception: whatever vLLM's start-up throws; no process is left behind then, nor when cancelled.

    """
    given_up = threading.Event()
    launching = asyncio.get_running_loop().run_in_executor(None, _launch, name, folder, config, given_up)
    try:
        engine = await asyncio.shield(launching)
        await engine.warm_up()
        return engine
    except BaseException:  # cancelled, above all
        # A thread cannot be cancelled: it is told, and whatever it still starts is brought down.
        given_up.set()
        with contextlib.suppress(Exception):
            await asyncio.to_thread((await launching).shutdown)
        raise


def _launch(name: str, folder: str, config: EngineConfig, given_up: threading.Event) -> VllmEngine:
    with _launching:
        os.environ.update(_environment(config))
        # Imported after the environment is set, which parts of vLLM read while they are imported.
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        if config.tool_parser is not None:
            check_tool_parser(config.tool_parser)
        args = AsyncEngineArgs(
            model=folder,
            served_model_name=name,
            dtype=config.dtype,
            max_model_len=config.context_tokens,
            max_num_seqs=config.max_num_seqs,
            max_num_batched_tokens=config.max_num_batched_tokens,
            enable_prefix_caching=True,
            enforce_eager=config.enforce_eager,
            tensor_parallel_size=config.tensor_parallel_size,
            gpu_memory_utilization=config.gpu_memory_utilization,
            kv_cache_memory_bytes=None if config.kv_cache_gib is None else int(config.kv_cache_gib * 2**30),
            stream_interval=config.stream_interval_tokens,
            use_tqdm_on_load=False,
            disable_log_stats=True,  # vLLM's own loggers; ours is below
            enable_log_requests=False,
        )
        registry = CollectorRegistry()
        before = set(multiprocessing.active_children())
        with _killing_children_when(given_up, before):
            llm = AsyncLLM.from_engine_args(args, stat_loggers=[_stat_logger(registry)])
            cores = [child for child in multiprocessing.active_children() if child not in before]
            engine = VllmEngine(llm, config, registry, cores)
            del llm  # vLLM keeps this frame alive, and the frame would keep vLLM's engine alive beyond its shutdown
            return engine


@contextlib.contextmanager
def _killing_children_when(given_up: threading.Event, before: set[BaseProcess]) -> Iterator[None]:
    """End the processes started inside the block when it fails, or as soon as the launch is given up: that makes it fail."""
    over = threading.Event()

    def kill() -> None:
        for child in multiprocessing.active_children():
            if child not in before:
                child.kill()

    def watch() -> None:
        while not over.wait(0.05):
            if given_up.is_set():
                kill()

    watching = threading.Thread(target=watch, name="launch-watch")
    watching.start()
    try:
        yield
    except BaseException:  # whatever it was, no process may stay
        kill()
        raise
    finally:
        over.set()
        watching.join()


def _lost(output_tokens: int) -> TierwayError:
    if output_tokens:
        return StreamBrokenError("the engine died in the middle of the answer")
    return EngineLostError("the engine died before the first token", retry_after_s=1.0)


def _environment(config: EngineConfig) -> dict[str, str]:
    environment = {
        "HF_HUB_OFFLINE": "1",  # models come from folders; nothing may wait for a hub
        "VLLM_NO_USAGE_STATS": "1",
        "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR"),  # binding memory is no warning
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # grpc threads do not survive a fork
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
        ENVIRONMENT_KEY: "1",
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"),  # of the engine's own processes
        "VLLM_CPU_OMP_THREADS_BIND": config.threads_bind or "auto",
    }
    if config.threads_bind == "all":
        # vLLM leaves one core to its front end. On few cores that costs a third of the throughput (docs/adr/0005).
        environment["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return environment


def _stat_logger(registry: CollectorRegistry) -> Any:
    """vLLM's Prometheus logger, writing to a registry of its own: the global one holds a single engine's metrics at a time."""
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    kinds = {"_gauge_cls": Gauge, "_counter_cls": Counter, "_histogram_cls": Histogram}
    return type(
        "RegistryStatLogger",
        (PrometheusStatLogger,),
        {key: partial(kind, registry=registry) for key, kind in kinds.items()},
    )
