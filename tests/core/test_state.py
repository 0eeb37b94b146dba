import gc
from multiprocessing.shared_memory import SharedMemory
from threading import Thread

import pytest

from tests.core.fleets import five_tiers, make_table
from tierway_core import Router, State
from tierway_core.reference import ReferenceRouter


@pytest.mark.parametrize("index", [-1, 2, 2**40])
@pytest.mark.parametrize("method", ["is_available", "begin", "end", "in_flight"])
def test_an_index_outside_is_an_error(method, index):
    with pytest.raises(IndexError):
        getattr(State(2), method)(index)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_limit_or_a_budget_outside_is_an_error(index):
    state = State(5, limits=1, budgets=1)
    for call in (state.take, state.wait_ns, state.spent_picousd, state.remaining_picousd):
        with pytest.raises(IndexError):
            call(index, 0)
    with pytest.raises(IndexError):
        state.reserve(index, 0, 1)


def test_making_one_available_outside_is_an_error():
    with pytest.raises(IndexError):
        State(0).set_available(0, True)


def test_ending_what_did_not_begin_is_an_error_and_counts_nothing():
    state = State(1)
    with pytest.raises(ValueError, match="no request in flight"):
        state.end(0)
    assert state.in_flight(0) == 0


def test_a_negative_count_is_an_error():
    with pytest.raises(ValueError, match="0 to 1048576 deployments, not -1"):
        State(-1)


def test_a_small_a_read_only_and_a_misaligned_buffer_are_errors():
    size = State.size_bytes(2)
    with pytest.raises(ValueError, match=f"needs {size} bytes, the buffer has {size - 1}"):
        State(2, buffer=bytearray(size - 1))
    with pytest.raises(BufferError):
        State(2, buffer=bytes(size))
    with pytest.raises(ValueError, match="aligned"):
        State(2, buffer=memoryview(bytearray(size + 8))[1:])


@pytest.mark.parametrize("router_type", [Router, ReferenceRouter])
def test_a_router_refuses_the_state_of_another_table(router_type):
    with pytest.raises(ValueError, match="4 deployments, the table has 5"):
        router_type(make_table(*five_tiers()), State(4))


def test_a_new_state_has_everything_unavailable_and_idle():
    state = State(3)
    assert [(state.is_available(i), state.in_flight(i)) for i in range(3)] == [(False, 0)] * 3


def test_every_record_is_whole_cache_lines():
    sizes = [State.size_bytes(*counts) for counts in [(0,), (1,), (0, 1), (0, 0, 1), (0, 0, 0, 2)]]
    assert all(size > 0 and size % 64 == 0 for size in sizes)


def test_neighbours_do_not_touch():
    state = State(3)
    state.set_available(1, True)
    assert [state.begin(1), state.begin(1)] == [1, 2]
    state.end(1)
    assert [(state.is_available(i), state.in_flight(i)) for i in range(3)] == [(False, 0), (True, 1), (False, 0)]


def test_two_states_on_one_shared_memory_see_each_other():
    memory = SharedMemory(create=True, size=State.size_bytes(2))
    try:
        one, other = State(2, buffer=memory.buf), State(2, buffer=memory.buf)
        one.set_available(1, True)
        one.begin(1)
        assert (other.is_available(1), other.begin(1), one.in_flight(1)) == (True, 2, 2)
        del one, other
    finally:
        memory.close()  # would raise BufferError, were a state's export left over
        memory.unlink()


@pytest.mark.parametrize(
    "other", [{"deployments": 3}, {"limits": 0}, {"budgets": 0}, {"workers": 3}], ids=lambda counts: next(iter(counts))
)
def test_attaching_with_other_counts_is_refused(other):
    counts = {"limits": 1, "budgets": 1, "workers": 2, "deployments": 2}
    buffer = bytearray(2 * State.size_bytes(**counts))
    State(**counts, buffer=buffer)
    with pytest.raises(ValueError, match=f"another state: its number of {next(iter(other))}"):
        State(**counts | other, buffer=buffer)


def test_attaching_to_another_layout_or_to_something_else_is_refused():
    buffer = bytearray(State.size_bytes(1))
    State(1, buffer=buffer)
    buffer[8] += 1
    with pytest.raises(ValueError, match="its layout"):
        State(1, buffer=buffer)
    buffer[0] += 1
    with pytest.raises(ValueError, match="its magic number"):
        State(1, buffer=buffer)


@pytest.mark.parametrize(("workers", "worker"), [(0, 0), (17, 0), (2, 2), (2, -1)])
def test_workers_are_1_to_16_and_one_is_among_them(workers, worker):
    with pytest.raises(ValueError, match="worker"):
        State(1, workers=workers, worker=worker)


def test_workers_count_apart_and_read_the_sum():
    buffer = bytearray(State.size_bytes(1, workers=16))
    states = [State(1, workers=16, worker=worker, buffer=buffer) for worker in range(16)]
    assert [state.begin(0) for state in states] == list(range(1, 17))
    states[3].end(0)
    with pytest.raises(ValueError, match="no request in flight"):
        states[3].end(0)
    assert states[3].in_flight(0) == 15


def test_recovery_frees_what_the_dead_worker_had_in_flight_and_nobody_else_s():
    buffer = bytearray(State.size_bytes(2, workers=2))
    living, dead = (State(2, workers=2, worker=worker, buffer=buffer) for worker in (0, 1))
    for state, index in [(living, 0), (dead, 0), (dead, 1), (dead, 1)]:
        state.begin(index)
    assert living.recover(1) == (3, 0, 0)
    assert (living.in_flight(0), living.in_flight(1)) == (1, 0)


def test_a_state_in_a_garbage_cycle_releases_its_buffer():
    buffer = bytearray(State.size_bytes(1))
    cycle = [State(1, buffer=buffer)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    buffer.append(0)  # would raise BufferError, were the export left over


def test_counting_from_threads_loses_nothing():
    state = State(1)

    def count() -> None:
        for _ in range(5_000):
            state.begin(0)
            state.begin(0)
            state.end(0)

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.in_flight(0) == 20_000
