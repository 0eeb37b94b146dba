"""The places of one backend: who has one, who waits for one, and that nothing is left of who goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.running import until
from tierway_core import State
from tierway_server.flow.places import Places, Shed
from tierway_server.flow.priority import Priority

SHARES = {Priority.INTERACTIVE: 16.0, Priority.NORMAL: 4.0, Priority.BATCH: 1.0}
LONG_S = 3_600.0


def places_of(state: State, capacity: int, queue_size: int = 100, deployments: tuple[int, ...] = (0,)) -> Places:
    return Places(state, deployments, capacity, queue_size, SHARES)


class Crowd:
    """Several who want a place, and what became of them."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.ended: list[tuple[str, Shed | None]] = []

    async def comes(
        self, name: str, priority: Priority = Priority.NORMAL, most_s: float = LONG_S, index: int = 0
    ) -> asyncio.Task[None]:
        """Somebody comes, and waits if need be."""

        async def want() -> None:
            shed = None
            if not self.places.enter(index):
                shed = await self.places.wait(index, priority, name, most_s)
            self.ended.append((name, shed))

        task = asyncio.create_task(want())
        await asyncio.sleep(0)
        return task


@pytest.fixture
def state() -> State:
    return State(2)


async def test_who_finds_a_place_does_not_wait(state: State) -> None:
    places = places_of(state, 2)
    assert [places.enter(0) for _ in range(3)] == [True, True, False]
    assert state.in_flight(0) == 2
    assert not places.has_room


async def test_a_place_that_comes_free_goes_to_exactly_the_next(state: State) -> None:
    crowd = Crowd(places_of(state, 1))
    for name in ("first", "second", "third"):
        await crowd.comes(name)
    crowd.places.leave(0)
    await until(lambda: len(crowd.ended) == 2)
    assert crowd.ended == [("first", None), ("second", None)]
    assert (state.in_flight(0), len(crowd.places.queue)) == (1, 1)
    crowd.places.leave(0)
    await until(lambda: len(crowd.ended) == 3)
    assert (state.in_flight(0), len(crowd.places.queue)) == (1, 0)


async def test_who_comes_later_does_not_pass_those_who_wait(state: State) -> None:
    crowd = Crowd(places_of(state, 1))
    await crowd.comes("has it")
    await crowd.comes("waits")
    crowd.places.leave(0)
    assert not crowd.places.enter(0)


async def test_deployments_of_one_backend_share_its_places(state: State) -> None:
    crowd = Crowd(places_of(state, 1, deployments=(0, 1)))
    await crowd.comes("one", index=0)
    await crowd.comes("other", index=1)
    assert [state.in_flight(index) for index in (0, 1)] == [1, 0]
    crowd.places.leave(0)
    await until(lambda: len(crowd.ended) == 2)
    assert [state.in_flight(index) for index in (0, 1)] == [0, 1]


async def test_who_has_waited_for_as_long_as_it_may_is_sent_away(state: State) -> None:
    crowd = Crowd(places_of(state, 1))
    await crowd.comes("has it")
    await crowd.comes("impatient", most_s=0.001)
    await until(lambda: len(crowd.ended) == 2)
    assert crowd.ended[1] == ("impatient", "age")
    assert (state.in_flight(0), len(crowd.places.queue)) == (1, 0)


async def test_who_finds_the_queue_full_is_sent_away_at_once(state: State) -> None:
    crowd = Crowd(places_of(state, 1, queue_size=1))
    for name in ("has it", "waits", "waits"):
        await crowd.comes(name)
    await until(lambda: len(crowd.ended) == 2)
    assert crowd.ended[1] == ("waits", "full")


async def test_who_is_less_urgent_makes_room_in_a_full_queue(state: State) -> None:
    crowd = Crowd(places_of(state, 1, queue_size=1))
    await crowd.comes("has it")
    await crowd.comes("idle", Priority.BATCH)
    await crowd.comes("urgent", Priority.INTERACTIVE)
    await until(lambda: len(crowd.ended) == 2)
    assert crowd.ended[1] == ("idle", "displaced")
    crowd.places.leave(0)
    await until(lambda: len(crowd.ended) == 3)
    assert crowd.ended[2] == ("urgent", None)


class TestLeaving:
    """Whenever a caller goes, its place in the queue is gone, and a place that it was given meanwhile is the next one's."""

    async def test_while_it_waits(self, state: State) -> None:
        crowd = Crowd(places_of(state, 1))
        await crowd.comes("has it")
        leaver, _ = await crowd.comes("leaves"), await crowd.comes("stays")
        leaver.cancel()
        crowd.places.leave(0)  # before the one who leaves has heard of it
        await until(lambda: len(crowd.ended) == 2)
        assert crowd.ended[1] == ("stays", None)
        assert (state.in_flight(0), len(crowd.places.queue)) == (1, 0)

    async def test_in_the_moment_in_which_its_place_came(self, state: State) -> None:
        crowd = Crowd(places_of(state, 1))
        await crowd.comes("has it")
        leaver, _ = await crowd.comes("leaves"), await crowd.comes("stays")
        crowd.places.leave(0)
        leaver.cancel()  # the place is its own already
        await until(lambda: len(crowd.ended) == 2)
        assert crowd.ended[1] == ("stays", None)
        assert (state.in_flight(0), len(crowd.places.queue)) == (1, 0)

    async def test_in_the_moment_in_which_it_was_sent_away(self, state: State) -> None:
        crowd = Crowd(places_of(state, 1, queue_size=1))
        await crowd.comes("has it")
        leaver = await crowd.comes("idle", Priority.BATCH)
        await crowd.comes("urgent", Priority.INTERACTIVE)
        leaver.cancel()
        await asyncio.wait([leaver])
        assert (state.in_flight(0), len(crowd.places.queue)) == (1, 1)


class TestSeveralProcesses:
    """Two processes with queues of their own share the places of one backend."""

    @pytest.fixture
    def crowds(self) -> list[Crowd]:
        return self.sharing(capacity=2)

    def sharing(self, capacity: int) -> list[Crowd]:
        memory = bytearray(State.size_bytes(1, workers=2))
        states = [State(1, workers=2, worker=worker, buffer=memory) for worker in range(2)]
        return [Crowd(places_of(state, capacity)) for state in states]

    async def test_together_they_hold_no_more_than_there_are(self, crowds: list[Crowd]) -> None:
        one, other = crowds
        await one.comes("a")
        await other.comes("b")
        assert [crowd.places.has_room for crowd in crowds] == [False, False]
        assert not other.places.enter(0)

    async def test_what_one_lets_go_of_the_other_finds(self, crowds: list[Crowd]) -> None:
        one, other = crowds
        await one.comes("a")
        await one.comes("b")
        await other.comes("c")
        assert len(other.places.queue) == 1
        one.places.leave(0)
        await until(lambda: other.ended == [("c", None)])

    async def test_a_process_that_is_never_idle_leaves_the_other_its_part(self) -> None:
        one, other = self.sharing(capacity=1)
        await one.comes("has it")
        tasks = [await one.comes("flood") for _ in range(50)]
        await other.comes("waits")
        while not other.ended:
            served = len(one.ended)
            one.places.leave(0)
            await until(lambda served=served: len(one.ended) > served or bool(other.ended))  # type: ignore[misc]
        assert len(one.ended) < 50
        for task in tasks:
            task.cancel()

    async def test_nobody_looks_while_nobody_waits(self, crowds: list[Crowd], monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = crowds
        await one.comes("a")
        await one.comes("b")
        await other.comes("c")
        one.places.leave(0)
        await until(lambda: bool(other.ended))
        looks: list[Callable[..., Any]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda _, call, *__: looks.append(call))
        other.places.leave(0)
        assert other.places.enter(0)
        other.places.leave(0)
        assert looks == []


async def test_how_long_one_would_wait_goes_by_how_long_places_were_held(state: State) -> None:
    crowd = Crowd(places_of(state, 2))
    assert crowd.places.wait_s(Priority.NORMAL, "", 7.0) == pytest.approx(
        7.0 / 2
    )  # nobody has answered: as is expected
    crowd.places.enter(0)
    crowd.places.leave(0, held_s=3.0)
    for name in ("a", "b", "c"):
        await crowd.comes(name)
    # Two have places and one waits: the next has the second place that comes free, one each one and a half seconds.
    assert crowd.places.wait_s(Priority.NORMAL, "", 7.0) == pytest.approx(3.0)
