"""A deployment at Google's own Gemini API, over the wire: what becomes of each answer, and of what is none."""

from __future__ import annotations

import pytest

from tests.faults import google_events as google
from tests.faults.upstream import End, Reply, document, upstream
from tests.server.remote import KEY, answer, asking, failure_of, remote_backend, remote_fleet, text_of
from tests.server.running import until
from tierway_server.backends.base import FinishReason, Usage
from tierway_server.errors import (
    ContentBlockedError,
    ProviderAuthError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderRejectedError,
    StreamBrokenError,
)

USAGE = Usage(
    google.INPUT_TOKENS,
    google.CACHED_INPUT_TOKENS,
    len(google.PIECES) + google.THOUGHT_TOKENS,
    google.THOUGHT_TOKENS,
)


@pytest.fixture
async def provider():
    async with upstream(google.stream()) as provider:
        yield provider


@pytest.fixture
async def backend(provider):
    fleet = remote_fleet(
        f"{provider.base_url}/v1beta",
        kind="google",
        deployment={"model": "models/gemini-3-pro", "parameters": {"generationConfig": {"mediaResolution": "LOW"}}},
    )
    async with remote_backend(fleet) as backend:
        yield backend


async def test_an_answer_comes_with_its_account_and_its_end(backend, provider):
    chunks = await answer(backend)
    assert text_of(chunks) == "Paris it is."
    assert (chunks[-1].finish_reason, chunks[-1].usage) == (FinishReason.STOP, USAGE)
    [asked] = provider.asked
    assert asked.path == "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
    assert asked.headers["x-goog-api-key"] == KEY
    assert asked.document["generationConfig"] == {"maxOutputTokens": 64, "mediaResolution": "LOW"}
    assert KEY not in repr(vars(backend))


async def test_an_answer_that_comes_whole_although_events_were_asked_for_is_one(backend, provider):
    [candidate] = google.part(text="Paris it is.")["candidates"]
    provider.answer = lambda _: document({"candidates": [{**candidate, "finishReason": "STOP"}]})
    [chunk] = await answer(backend)
    assert (chunk.text, chunk.finish_reason) == ("Paris it is.", FinishReason.STOP)


async def test_tokens_are_counted_as_the_service_does_while_they_come(backend, provider):
    assert sum(chunk.token_count for chunk in await answer(backend)) == len(google.PIECES)


async def test_an_account_that_is_older_than_what_came_is_not_the_last_word(backend, provider):
    begun = google.event({**google.part(text="Paris"), "usageMetadata": google.usage(1)})
    provider.answer = lambda _: Reply(steps=(begun, *[google.text("!")] * 1_000))
    chunks = await answer(backend, asking(max_tokens=8))
    assert chunks[-1].usage.output_tokens == len(text_of(chunks)) - len("Paris") + 1


async def test_what_a_continuation_repeats_is_left_out(backend, provider):
    assert text_of(await answer(backend, asking(answered="Paris it"))) == " is."


@pytest.mark.parametrize(
    ("status", "name", "message", "expected"),
    [
        (400, "INVALID_ARGUMENT", 'Unknown name "x"', ProviderRejectedError),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", ProviderAuthError),
        (403, "PERMISSION_DENIED", "no", ProviderAuthError),
        (404, "NOT_FOUND", "no", ProviderRejectedError),
        (429, "RESOURCE_EXHAUSTED", "slow down", ProviderOverloadedError),
        (500, "INTERNAL", "oops", ProviderFailedError),
        (503, "UNAVAILABLE", "The model is overloaded.", ProviderOverloadedError),
    ],
)
async def test_an_error_before_the_answer_is_of_its_kind(backend, provider, status, name, message, expected):
    provider.answer = lambda _: google.error(status, name, message=message)
    assert [(said, type(failure)) for said, failure in [await failure_of(backend)]] == [("", expected)]


@pytest.mark.parametrize("told", [google.blocked(), google.end("SAFETY")])
async def test_a_prompt_that_is_refused_is_an_error(backend, provider, told):
    provider.answer = lambda _: Reply(steps=(google.event(told),))
    assert type((await failure_of(backend))[1]) is ContentBlockedError


@pytest.mark.parametrize(
    "rest",
    [
        (),
        (End.CUT,),
        (google.error_event(503, "UNAVAILABLE"),),
        (b"data: {\r\n\r\n",),
        (google.event(google.end("UNEXPECTED_TOOL_CALL")),),
    ],
)
async def test_whatever_happens_after_the_first_text_breaks_the_answer_off(backend, provider, rest):
    provider.answer = lambda _: Reply(steps=(google.text("Paris"), *rest))
    said, failure = await failure_of(backend)
    assert (said, type(failure)) == ("Paris", StreamBrokenError)


@pytest.mark.parametrize("more", [{"text": "!"}, {"functionCall": {"name": "weather"}}])
async def test_an_endless_answer_is_cut_at_the_length_that_was_asked_for(backend, provider, more):
    steps = [google.text("Paris"), *[google.event(google.part(**more))] * 120, End.HANG]
    provider.answer = lambda _: Reply(steps=steps)
    last = (await answer(backend, asking(max_tokens=4)))[-1]
    assert last.finish_reason is FinishReason.LENGTH
    await until(lambda: provider.hung_up == 1)
