"""vLLM driven directly, with one consumer attached over TCP: what Tierway's `Stream` is compared with.

Run as a process of its own (`python -m tierway_bench.raw_engine FOLDER JSON`, JSON being the engine's arguments); it prints its address as
JSON when the engine has answered for the first time, and ends on SIGTERM. Requests go through vLLM's own `generate()`, and every output
is sent on as it comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
from typing import Any

import uvloop

from tierway_bench.raw_protocol import Output, packed


class RawEngine:
    """An engine and those who consume from it."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._tokenizer = llm.get_tokenizer()
        self._connections = 0

    async def consume(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it is closed; its requests end with it."""
        self._connections += 1
        generations: set[asyncio.Task[None]] = set()
        try:
            while line := await reader.readline():
                request = json.loads(line)
                name = f"{self._connections}-{request['id']}"
                task = asyncio.create_task(self._generate(name, request, writer))
                generations.add(task)
                task.add_done_callback(generations.discard)
        except ConnectionError:
            pass
        finally:
            for task in list(generations):
                task.cancel()
            await asyncio.gather(*generations, return_exceptions=True)
            writer.close()

    async def warm_up(self) -> None:
        """Answer once."""
        async for _ in self._outputs("warm-up", "Hello", 2):
            pass

    async def _generate(self, name: str, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        async for output in self._outputs(name, request["prompt"], request["max_tokens"]):
            completion = output.outputs[0]
            record = Output(request["id"], len(completion.token_ids), output.finished, completion.text.encode())
            writer.write(packed(record))

    def _outputs(self, name: str, prompt: str, max_tokens: int) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        # The Rust tokenizer itself, as Tierway does: tokenising is not what is compared.
        ids = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        sampling = SamplingParams(temperature=1.0, max_tokens=max_tokens, output_kind=RequestOutputKind.DELTA)
        return self._llm.generate({"prompt_token_ids": ids}, sampling, name)


async def serve(folder: str, engine: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    llm = AsyncLLM.from_engine_args(AsyncEngineArgs(model=folder, **engine))
    try:
        raw = RawEngine(llm)
        await raw.warm_up()
        server = await asyncio.start_server(raw.consume, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        print(json.dumps({"address": f"{host}:{port}"}), flush=True)
        await stop.wait()
        server.close()
    finally:
        llm.shutdown()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="Runs vLLM's AsyncLLM for one consumer at a time.")
    parser.add_argument("folder", help="the model")
    parser.add_argument("engine", type=json.loads, help="arguments of AsyncEngineArgs, as JSON")
    parser.add_argument("--environment", type=json.loads, default={}, help="variables to set before vLLM is imported")
    given = parser.parse_args()
    os.environ.update(given.environment)
    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(serve(given.folder, given.engine))


if __name__ == "__main__":
    main()
