"""A deployment on a vLLM server that speaks its own gRPC: the server here is real gRPC, with scripted tokens."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tests.faults.faulty_grpc import NO_TOKEN
from tests.server.byte_tokenizer import files
from tests.server.remote import ENVIRON, KEY, answer, asking, failure_of, remote_fleet, text_of
from tests.server.running import until
from tests.server.vllm_grpc_server import TOKENIZER, VllmServer, serving, tokens
from tierway_server.backends.base import CostCeiling, FinishReason, Image, Message, Role, Sampling, Tool, Tools, Usage
from tierway_server.backends.remote_models import RemoteModels
from tierway_server.backends.vllm_grpc import VllmGrpcBackend
from tierway_server.backends.vllm_grpc import VllmServer as Place
from tierway_server.config import Secrets, parse
from tierway_server.errors import (
    ContextTooLongError,
    CostCeilingError,
    NotOfferedError,
    NotReadyError,
    ProviderAuthError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderRejectedError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    StreamBrokenError,
)

PROMPT = "<|im_start|>user\nHello?<|im_end|>\n<|im_start|>assistant\n"
READ = len(tokens(PROMPT))
SAID = len("Paris it is.")


def place(port: int, **changes: Any) -> Place:
    return Place(
        **{
            "provider": "far",
            "target": f"127.0.0.1:{port}",
            "is_secure": False,
            "key": None,
            "capacity": 8,
            "context_tokens": 8_192,
            "connect_timeout_s": 30.0,
            "idle_timeout_s": 30.0,
            "coalesce_window_s": 0.0,
            **changes,
        }
    )


@asynccontextmanager
async def running(backend: VllmGrpcBackend):
    task = asyncio.create_task(backend.run())
    try:
        yield backend
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def server() -> VllmServer:
    return VllmServer()


@pytest.fixture
async def port(server):
    async with serving(server) as port:
        yield port


@pytest.fixture
async def backend(port):
    async with running(VllmGrpcBackend(place(port))) as backend:
        await until(lambda: backend.availability.is_available)
        yield backend


def asked_by(server: VllmServer) -> tuple[str, pb.SamplingParams]:
    """The latest prompt, as text, and its parameters."""
    request = server.asked[-1]
    return TOKENIZER.decode(list(request.tokenized.input_ids), skip_special_tokens=False), request.sampling_params


def encrypted(archive: bytes) -> bytes:
    """The archive, which says of its files that they are encrypted."""
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = archive.find(signature) + flags
        archive = archive[:at] + b"\1" + archive[at + 1 :]
    return archive


def garbled(archive: bytes) -> bytes:
    """The archive, whose first file cannot be unpacked."""
    at = archive.find(b"tokenizer.json") + len("tokenizer.json")
    return archive[:at] + b"\xff" * 16 + archive[at + 16 :]


class TestAnswering:
    async def test_an_answer_comes_with_its_account_and_its_end(self, backend, server):
        *chunks, last = await answer(backend)
        assert [chunk.text for chunk in chunks] == ["Paris", " it is."]
        assert last.finish_reason is FinishReason.STOP
        assert last.usage == Usage(READ, 4, SAID)
        assert sum(chunk.token_count for chunk in chunks) == SAID

    async def test_the_model_s_own_template_and_tokenizer_write_the_prompt(self, backend, server):
        await answer(backend)
        prompt, params = asked_by(server)
        assert prompt == PROMPT
        assert params.max_tokens == 64
        assert not params.HasField("temperature")
        assert server.asked[-1].stream

    async def test_an_answer_goes_on_in_the_assistant_s_own_turn(self, backend, server):
        await answer(backend, asking(answered="It is À", json_schema={"type": "object"}))
        prompt, params = asked_by(server)
        assert prompt == PROMPT + "It is À"
        assert params.WhichOneof("constraint") is None  # which would make it begin again

    async def test_characters_come_whole_though_their_bytes_do_not(self, backend, server):
        ids = tokens("日本 😀")
        server.steps = tuple(pb.GenerateResponse(chunk=pb.GenerateStreamChunk(token_ids=[each])) for each in ids)
        chunks = await answer(backend)
        assert [chunk.text for chunk in chunks if chunk.text] == ["日", "本", " ", "😀"]

    async def test_tokens_that_are_no_text_yet_go_with_those_that_complete_it(self, backend, server):
        ids = tokens("日")
        server.steps = [
            pb.GenerateResponse(
                chunk=pb.GenerateStreamChunk(
                    token_ids=[each], output_logprobs=pb.OutputLogProbs(token_ids=[each], token_logprobs=[-0.5])
                )
            )
            for each in ids
        ]
        chunk, end = await answer(backend, asking(sampling=Sampling(top_logprobs=0)))
        assert (chunk.text, chunk.token_count, len(chunk.logprobs)) == ("日", 3, 3)
        assert (end.text, end.token_count, end.usage.output_tokens) == ("", 0, 3)

    async def test_an_answer_that_breaks_off_without_a_text_has_not_begun(self, backend, server):
        half = pb.GenerateResponse(chunk=pb.GenerateStreamChunk(token_ids=tokens("日")[:1]))
        server.steps = (half, grpc.StatusCode.INTERNAL)
        assert type((await failure_of(backend))[1]) is ProviderFailedError

    async def test_no_more_can_be_cached_than_was_read(self, backend, server):
        server.cached_tokens = 10**6
        assert (usage := (await answer(backend))[-1].usage) is not None
        assert usage.cached_input_tokens == usage.input_tokens

    async def test_a_stop_text_ends_the_answer_and_is_not_shown(self, backend, server):
        server.steps = ("Paris E", "N", "D it is")
        assert text_of(await answer(backend, asking(sampling=Sampling(stop=("END",))))) == "Paris "
        assert list(asked_by(server)[1].stop) == ["END"]

    async def test_sampling_is_passed_on_and_what_is_not_stated_is_the_model_s_own(self, server):
        server.default_sampling(temperature=0.5, top_k=-1, top_p=0.75, max_tokens=7)
        async with serving(server) as port, running(VllmGrpcBackend(place(port))) as backend:
            await until(lambda: backend.availability.is_available)
            await answer(backend, asking(sampling=Sampling(top_p=0.25, seed=2**40 + 3, presence_penalty=-0.5)))
        _, params = asked_by(server)
        assert (params.temperature, params.top_p, params.top_k) == (0.5, 0.25, 0)
        assert (params.seed, params.presence_penalty, params.max_tokens) == (3, -0.5, 64)

    async def test_temperature_zero_is_stated(self, backend, server):
        await answer(backend, asking(sampling=Sampling(temperature=0.0)))
        _, params = asked_by(server)
        assert params.HasField("temperature")

    @pytest.mark.parametrize(
        ("schema", "constraint", "value"),
        [({"type": "object"}, "json_schema", '{"type": "object"}'), ({}, "json_object", True)],
    )
    async def test_a_schema_is_a_constraint(self, backend, server, schema, constraint, value):
        await answer(backend, asking(json_schema=schema))
        _, params = asked_by(server)
        assert params.WhichOneof("constraint") == constraint
        assert getattr(params, constraint) == value

    @pytest.mark.parametrize(("alternatives", "asked"), [(0, 0), (2, 3), (19, 20), (20, 20)])
    async def test_log_probabilities_come_with_the_likeliest_first(self, backend, server, alternatives, asked):
        p, a, q = tokens("paq")
        others = pb.TopLogProbs(token_ids=[p, q, a], values=[-2.0, -1.5, -0.5])
        told = pb.OutputLogProbs(token_ids=[p], token_logprobs=[-2.0], top_logprobs=[others] if alternatives else [])
        server.steps = (pb.GenerateResponse(chunk=pb.GenerateStreamChunk(token_ids=[p], output_logprobs=told)),)
        chunks = await answer(backend, asking(sampling=Sampling(top_logprobs=alternatives)))
        [logprob] = chunks[0].logprobs
        assert (logprob.token, logprob.logprob) == ("p", -2.0)
        assert logprob.top == (("a", -0.5), ("q", -1.5), ("p", -2.0))[:alternatives]
        assert asked_by(server)[1].logprobs == asked

    async def test_the_length_is_what_the_context_and_the_ceiling_leave(self, backend, server):
        await answer(backend, asking(max_tokens=10_000))
        assert asked_by(server)[1].max_tokens == 512 - READ
        ceiling = CostCeiling(max_picousd=READ + 10, input_picousd=1, output_picousd=2)
        await answer(backend, asking(cost_ceiling=ceiling))
        assert asked_by(server)[1].max_tokens == 5

    async def test_a_server_that_does_not_keep_to_the_length_is_cut_there(self, backend, server):
        server.steps = ("Paris", *" it is.", asyncio.Event())
        chunks = await answer(backend, asking(max_tokens=8))
        assert (text_of(chunks), chunks[-1].finish_reason) == ("Paris it", FinishReason.LENGTH)
        assert chunks[-1].usage == Usage(READ, 4, 8)
        await until(lambda: server.left == 1)

    async def test_long_prompts_are_written_as_short_ones_are(self, backend, server):
        server.about.max_context_length = 16_384
        async with serving(server) as port, running(VllmGrpcBackend(place(port))) as backend:
            await until(lambda: backend.availability.is_available)
            await answer(backend, asking("Hello?" * 1_000))
        assert asked_by(server)[0] == PROMPT.replace("Hello?", "Hello?" * 1_000)

    async def test_a_key_goes_with_every_call(self, server):
        async with serving(server) as port, running(VllmGrpcBackend(place(port, key="hunter2"))) as backend:
            await until(lambda: backend.availability.is_available)
            await answer(backend)
            assert "hunter2" not in repr(backend) + repr(vars(backend))
        assert [each["authorization"] for each in server.metadata] == ["Bearer hunter2"] * 2

    async def test_a_caller_who_leaves_ends_the_call_at_once(self, backend, server):
        server.steps = ("Paris", asyncio.Event())
        chunks = backend.generate(asking())
        await anext(chunks)
        await chunks.aclose()
        await until(lambda: server.left == 1)

    async def test_a_task_that_is_cancelled_before_the_first_token_ends_it_too(self, backend, server):
        server.steps = (asyncio.Event(),)
        task = asyncio.create_task(answer(backend))
        await until(lambda: len(server.asked) == 1)
        task.cancel()
        await until(lambda: server.left == 1)


class TestFailing:
    @pytest.mark.parametrize(
        ("generation", "expected"),
        [
            (asking("word" * 200), ContextTooLongError),
            (asking(cost_ceiling=CostCeiling(max_picousd=1, input_picousd=1, output_picousd=1)), CostCeilingError),
            (asking(tools=Tools(tools=(Tool(name="a", description="", parameters={}),))), NotOfferedError),
            (asking(messages=(Message(Role.USER, "", (Image(uri="https://x"),)),)), NotOfferedError),
        ],
    )
    async def test_what_cannot_be_asked_is_not_sent(self, backend, server, generation, expected):
        assert type((await failure_of(backend, generation))[1]) is expected
        assert server.asked == []

    async def test_a_conversation_that_the_template_refuses_is_rejected(self, server):
        server.files = files("{{ raise_exception('no') }}")
        async with serving(server) as port, running(VllmGrpcBackend(place(port))) as backend:
            await until(lambda: backend.availability.is_available)
            assert type((await failure_of(backend))[1]) is ProviderRejectedError

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (grpc.StatusCode.UNAVAILABLE, ProviderUnreachableError),
            (grpc.StatusCode.DEADLINE_EXCEEDED, ProviderTimeoutError),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, ProviderOverloadedError),
            (grpc.StatusCode.UNAUTHENTICATED, ProviderAuthError),
            (grpc.StatusCode.INVALID_ARGUMENT, ProviderRejectedError),
            (grpc.StatusCode.UNIMPLEMENTED, ProviderRejectedError),
            (grpc.StatusCode.INTERNAL, ProviderFailedError),
            (grpc.StatusCode.CANCELLED, ProviderFailedError),
        ],
    )
    async def test_a_status_before_the_answer_is_of_its_kind_and_after_it_breaks_it_off(
        self, backend, server, status, expected, caplog
    ):
        server.steps = (status,)
        said, failure = await failure_of(backend)
        assert (said, type(failure)) == ("", expected)
        assert failure.metadata == {"provider": "far"}
        server.steps = ("Paris", status)
        said, failure = await failure_of(backend)
        assert (said, type(failure)) == ("Paris", StreamBrokenError)
        assert "hunter2" not in str(failure) + " ".join(str(vars(record)) for record in caplog.records)

    @pytest.mark.parametrize("finish_reason", ["", "abort", "error"])
    async def test_an_answer_without_a_good_end_is_a_failure(self, backend, server, finish_reason):
        server.finish_reason = finish_reason
        assert type((await failure_of(backend))[1]) is StreamBrokenError
        server.steps = ()
        assert type((await failure_of(backend))[1]) is ProviderFailedError

    @pytest.mark.parametrize("finish_reason", ["length", "repetition"])
    async def test_an_end_that_is_no_stop_has_cut_the_answer(self, backend, server, finish_reason):
        server.finish_reason = finish_reason
        assert (await answer(backend))[-1].finish_reason is FinishReason.LENGTH

    async def test_a_server_that_falls_silent_is_waited_for_no_longer_than_stated(self, server, port):
        async with running(VllmGrpcBackend(place(port, idle_timeout_s=5.0))) as backend:
            await until(lambda: backend.availability.is_available)

            def grow_impatient() -> None:
                backend._server = place(port, idle_timeout_s=0.05)

            # Once it has begun: on a busy machine, it may hear of a call no sooner than that.
            server.steps = (grow_impatient, NO_TOKEN, asyncio.Event())
            assert type((await failure_of(backend))[1]) is ProviderTimeoutError
            await until(lambda: server.left == 1)


class TestBeingThere:
    async def test_without_a_server_it_is_unavailable_until_one_comes(self, server):
        waits: list[float] = []
        tried = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            tried.set()
            await asyncio.sleep(0.01)

        async with serving(server) as port:
            pass
        backend = VllmGrpcBackend(place(port), sleep)
        seen = []
        backend.watch(seen.append)
        async with running(backend):
            await tried.wait()
            assert type((await failure_of(backend))[1]) is NotReadyError
            async with serving(server, port):
                await until(lambda: backend.availability.is_available)
                assert text_of(await answer(backend)) == "Paris it is."
        assert [each.reason for each in seen[:3]] == [
            "no server: not asked yet",
            "no server: nothing answers there",
            "",
        ]
        assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0][: len(waits)]

    async def test_who_asks_before_it_is_known_waits_for_that(self, port):
        backend = VllmGrpcBackend(place(port))
        early = asyncio.create_task(answer(backend))
        await asyncio.sleep(0)
        async with running(backend):
            assert text_of(await early) == "Paris it is."

    @pytest.mark.parametrize("goes", ["server", "backend"])
    async def test_an_answer_breaks_off_when_its_connection_goes(self, server, goes):
        server.steps = ("Paris", asyncio.Event())
        async with AsyncExitStack() as theirs, AsyncExitStack() as ours:
            port = await theirs.enter_async_context(serving(server))
            backend = await ours.enter_async_context(running(VllmGrpcBackend(place(port))))
            await until(lambda: backend.availability.is_available)
            chunks = backend.generate(asking())
            assert (await anext(chunks)).text == "Paris"
            await (theirs if goes == "server" else ours).aclose()
            with pytest.raises(StreamBrokenError):
                await anext(chunks)

    async def test_a_server_that_comes_back_is_asked_anew_what_it_runs(self, server):
        async def sleep(_: float) -> None:
            await asyncio.sleep(0.01)

        second = VllmServer()
        second.files = files("other")
        async with serving(server) as port:
            pass
        async with running(VllmGrpcBackend(place(port), sleep)) as backend:
            async with serving(server, port):
                await until(lambda: backend.availability.is_available)
            await until(lambda: not backend.availability.is_available)
            async with serving(second, port):
                await until(lambda: backend.availability.is_available)
                await answer(backend)
        assert asked_by(second)[0] == "other"

    @pytest.mark.parametrize(
        ("spoiled", "reason"),
        [
            ({"about_status": grpc.StatusCode.UNIMPLEMENTED}, "no server: it answers UNIMPLEMENTED"),
            ({"files": {}}, "no tokenizer: there is no tokenizer.json"),
            ({"files": {"tokenizer.json": b"hunter2"}}, "no tokenizer: tokenizer.json cannot be read"),
            ({"files": files() | {"tokenizer_config.json": b"{}"}}, "no tokenizer: the chat template cannot be read"),
            ({"spoil": lambda data: data[:-1]}, "no tokenizer: it did not come whole"),
            ({"packed": lambda _: b"hunter2"}, "no tokenizer: it is no archive"),
            ({"packed": encrypted}, "no tokenizer: it is no archive"),
            ({"packed": garbled}, "no tokenizer: it is no archive"),
            (
                {"files": files() | {"tokenizer_config.json": b"[" * 100_000}},
                "no tokenizer: the chat template cannot be read",
            ),
        ],
    )
    async def test_a_server_whose_model_cannot_be_used_is_unavailable_with_the_reason(
        self, server, port, spoiled, reason, caplog
    ):
        for name, value in spoiled.items():
            setattr(server, name, value)
        caplog.set_level(logging.DEBUG)
        async with running(VllmGrpcBackend(place(port))) as backend:
            await until(lambda: backend.availability.reason == reason)
        assert "hunter2" not in caplog.text

    async def test_the_tokenizer_may_stand_in_a_folder(self, server, port, tmp_path):
        for name, data in files("folder").items():
            (tmp_path / name).write_bytes(data)
        async with running(VllmGrpcBackend(place(port, tokenizer=tmp_path))) as backend:
            await until(lambda: backend.availability.is_available)
            await answer(backend)
        assert asked_by(server)[0] == "folder"
        assert server.asked_for_tokenizer == 0


async def test_the_configuration_makes_it_and_keeps_it(server, port):
    """Through what the server itself constructs, with the connection that it keeps."""
    document = remote_fleet(f"grpc://127.0.0.1:{port}", kind="vllm_grpc")
    config = parse(document)
    models = RemoteModels(config, [""], ENVIRON, Secrets(ENVIRON, {}))
    keeping = asyncio.create_task(models.run())
    try:
        backend = models.by_deployment[0]
        await until(lambda: backend.availability.is_available)
        assert text_of(await answer(backend)) == "Paris it is."
        assert server.metadata[-1]["authorization"] == f"Bearer {KEY}"
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))
