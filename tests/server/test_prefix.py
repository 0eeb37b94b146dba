"""What later turns and other callers have in common with a prompt, and that who was sent it lately is asked again."""

import asyncio

from tests.server.asking import turn, user
from tests.server.conftest import Serve
from tests.server.fleet import engine, five_tiers, only
from tests.server.running import RunningServer, until
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.base import Message, Role
from tierway_server.rpc.prefix import next_prefix_key, prefix_key

BRIEF = Message(Role.SYSTEM, "Be brief")
HI, ANSWER, MORE, EVEN_MORE = (
    Message(Role.USER, "Hi"),
    Message(Role.ASSISTANT, "Ho"),
    Message(Role.USER, "More"),
    Message(Role.USER, "Even more"),
)


def test_a_lone_prompt_shares_nothing_yet() -> None:
    assert prefix_key([HI]) == 0
    assert next_prefix_key([HI]) != 0


def test_first_turns_share_the_instructions() -> None:
    assert prefix_key([BRIEF, HI]) == prefix_key([BRIEF, MORE]) != 0
    assert prefix_key([BRIEF, HI]) != prefix_key([Message(Role.SYSTEM, "Be long"), HI])


def test_later_turns_share_all_up_to_the_first_answer() -> None:
    second = [BRIEF, HI, ANSWER, MORE]
    third = [*second, ANSWER, EVEN_MORE]
    assert next_prefix_key([BRIEF, HI]) == prefix_key(second) == next_prefix_key(second) == prefix_key(third)
    assert prefix_key(second) != prefix_key([BRIEF, MORE, ANSWER, MORE])


def test_where_one_text_ends_and_the_next_begins_matters() -> None:
    first, second = (
        [Message(Role.SYSTEM, "ab"), Message(Role.SYSTEM, "c"), HI],
        [Message(Role.SYSTEM, "a"), Message(Role.SYSTEM, "bc"), HI],
    )
    assert prefix_key(first) != prefix_key(second)


def test_the_number_is_the_same_in_every_process() -> None:
    assert prefix_key([BRIEF, HI]) == 6959342749653057606


async def test_the_conversation_stays_where_its_beginning_is_cached(serve: Serve) -> None:
    """Two deployments of one model, alike but for the cache."""
    document = only(five_tiers(), "nano")
    document["engines"]["twin"] = engine()
    [nano] = document["models"]
    nano["deployments"] = [{"engine": "nano"}, {"engine": "twin"}]
    nano["context_tokens"] = 8_192
    server = await serve(document)
    words = user("word " * 200)
    first = await ask(server, words)
    holder = first.decision.deployment
    assert holder == "nano@nano"
    server.engine("nano").script(asyncio.Event(), "never")
    hanging = server.router.Execute(rpc.ExecuteRequest(query=pb.Query(messages=[user("Hold on")])))
    await until(lambda: len(server.engine("nano").started) == 2)
    follow_up = [turn(pb.ROLE_ASSISTANT, "Yes"), user("And?")]
    assert (await ask(server, user("news " * 200), *follow_up)).decision.deployment == "nano@twin"  # the less busy one
    assert (await ask(server, words, *follow_up)).decision.deployment == holder
    hanging.cancel()
    await server.until_idle()


async def ask(server: RunningServer, *messages: pb.Message) -> rpc.ExecuteResponse:
    reply: rpc.ExecuteResponse = await server.router.Execute(rpc.ExecuteRequest(query=pb.Query(messages=messages)))
    return reply
