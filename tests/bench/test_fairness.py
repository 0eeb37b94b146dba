"""What the drill of overload says of what it saw."""

import asyncio

from tierway_bench.busy_server import BusyEngine
from tierway_bench.fairness import TOKENS, Seen, Shape
from tierway_server.backends.base import Generation, Sampling


def test_a_row_tells_rate_latency_and_refusals():
    seen = Seen([10.0, 20.0, 30.0, 40.0], 2.0, {"QUEUE_FULL": 1_200, "DEADLINE_EXCEEDED": 1})
    assert seen.row("quiet") == ["quiet", "2.0", "20", "40", "DEADLINE_EXCEEDED 1, QUEUE_FULL 1,200"]
    assert Seen(took_s=2.0).row("nobody") == ["nobody", "0.0", "-", "-", "-"]


def test_for_contrast_the_server_is_told_to_keep_no_order():
    shape = Shape(width=8, answer_s=0.2, queue_size=128, seconds=1.0, seed=1)
    assert shape.per_second == 40
    assert "--first-come" in shape.command(is_first_come=True)
    assert "--first-come" not in shape.command(is_first_come=False)


async def test_the_engine_answers_no_more_at_once_than_it_is_wide():
    engine, running, most = BusyEngine(2, 0.004), 0, 0

    async def answer(number: int) -> int:
        nonlocal running, most
        tokens = 0
        asked = Generation(id=str(number), messages=(), sampling=Sampling(), max_tokens=TOKENS)
        async for chunk in engine.generate(asked):
            if not tokens:
                running += 1
                most = max(most, running)
            tokens += chunk.token_count
            if chunk.usage is not None:
                running -= 1
        return tokens

    assert await asyncio.gather(*map(answer, range(6))) == [TOKENS] * 6
    assert most <= 2
