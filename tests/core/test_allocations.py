"""What a decision allocates: itself, and the bytes that tell what was filtered. Nothing for the text, however long."""

import ctypes
import gc
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import pytest

from tests.core.fleets import five_tiers, make_state, make_table
from tests.core.networks import make_classifier
from tierway_core import (
    STRATEGIES,
    ArmSpec,
    BudgetSpec,
    ExperimentSpec,
    Prefixes,
    Request,
    Router,
    RuleSpec,
    State,
    TenantSpec,
)

ALLOCATIONS = 2
"""By each decision: itself, and `filtered`."""

TIMES = 1000
TEXTS = {
    "short": "hi",
    "long": "Summarise what the numbers say about wind, rain and tides. " * 150,
    "other": "请证明" * 2000,
}
CLASSIFIER = make_classifier()


@pytest.fixture(scope="module")
def allocator(tmp_path_factory: pytest.TempPathFactory) -> ctypes.PyDLL:
    """Python's allocators, counting."""
    library = tmp_path_factory.mktemp("allocator") / "counting_allocator.so"
    source = Path(__file__).with_name("counting_allocator.c")
    command = ["cc", "-O1", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    loaded = ctypes.PyDLL(str(library))
    loaded.stop_counting.restype = ctypes.c_longlong
    return loaded


@pytest.fixture
def count(allocator: ctypes.PyDLL) -> Iterator[Callable[[Callable[[], object]], float]]:
    """count(call): allocations of a call whose result is kept, those that are freed at once included."""

    def count(call: Callable[[], object]) -> float:
        kept: list[object] = [None] * TIMES
        places = list(range(TIMES))
        call()  # whatever is made once is made now
        allocator.start_counting()
        for place in places:
            kept[place] = call()
        return int(allocator.stop_counting()) / TIMES

    gc.collect()
    gc.disable()
    yield count
    gc.enable()


def deciding(text: str, *, learned: bool) -> tuple[Router, Request]:
    table = make_table(*five_tiers(), classifier=learned)
    return Router(table, make_state(table), CLASSIFIER), Request(text)


def test_the_counter_counts(count):
    assert count(lambda: None) < 0.1
    assert count(lambda: [None]) >= 1.0


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "by class"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_decision_allocates_itself_and_what_was_filtered(count, name, learned):
    router, request = deciding(TEXTS[name], learned=learned)
    assert count(lambda: router.decide(request)) <= ALLOCATIONS + 0.1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_policy_makes_a_decision_allocate_more(count, strategy):
    arm = ArmSpec(name="arm", share=0.5, strategy="weighted")
    table = make_table(
        *five_tiers(),
        classifier=True,
        budgets=(BudgetSpec(name="all", limit_picousd=2**62),),
        tenants=(TenantSpec(name="acme", budget="all"),),
        rules=(
            *(RuleSpec(name=f"r{place}", agents=frozenset({f"agent {place}"})) for place in range(70)),
            RuleSpec(name="last", strategy=strategy, experiment="shadow"),
        ),
        experiments=(ExperimentSpec(name="shadow", arms=(arm,), shadow=True),),
    )
    state = State(len(table.deployments), budgets=1)
    state.set_budget(0, 2**62)
    for deployment in table.deployments:
        state.set_available(deployment.index, True)
    prefixes = Prefixes()
    prefixes.remember(7, 0, 0)
    router = Router(table, state, CLASSIFIER, prefixes)
    request = Request(
        "hi", tenant="acme", agent="me", prefix_key=7, extra_input_tokens=5, sticky_key="me", deadline_s=1e9
    )
    assert router.decide(request).rule == "last"
    assert count(lambda: router.decide(request)) <= ALLOCATIONS + 0.1


@pytest.mark.parametrize("name", TEXTS)
def test_decisions_that_are_let_go_leave_nothing(name):
    router, request = deciding(TEXTS[name], learned=True)

    def read() -> None:
        decision = router.decide(request)
        assert decision.assessment is decision.assessment
        assert decision.reasons
        assert decision.candidates

    def blocks_after(times: int) -> int:
        for _ in repeat(None, times):
            read()
        return sys.getallocatedblocks()

    before = blocks_after(100)  # free lists fill
    assert blocks_after(100) - before <= 20


def test_a_classifier_gives_its_memory_back():
    """Tables are outside of Python's allocators; 60 more would make the process larger by megabytes."""
    import resource

    def most_kib() -> int:
        for _ in range(60):
            type(CLASSIFIER)(CLASSIFIER.weights)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert most_kib() + 5_000 > most_kib()
