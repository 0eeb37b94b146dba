"""Every domain error has its status, complete and small; nothing foreign is in it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2

from tests.server.asking import execute, route, stream
from tests.server.refusal import refusal_of, refused
from tests.server.running import RunningServer
from tierway_server import errors
from tierway_server.errors import (
    BudgetExhaustedError,
    ConstitutionMismatchError,
    CostCeilingError,
    InvalidRequestError,
    QueueFullError,
    RateLimitedError,
    TierwayError,
    UnknownDeploymentError,
    UnknownModelError,
)
from tierway_server.rpc import status

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_TRAILERS_BYTES = 4_096

CODES = {
    "INVALID_ARGUMENT": {"INVALID_FIELD", "CONTEXT_TOO_LONG"},
    "NOT_FOUND": {"MODEL_NOT_FOUND", "DEPLOYMENT_NOT_FOUND"},
    "PERMISSION_DENIED": {"TENANT_RESTRICTED"},
    "RESOURCE_EXHAUSTED": {"RATE_LIMITED", "BUDGET_EXHAUSTED"},
    "FAILED_PRECONDITION": {
        "NO_CANDIDATE",
        "PIN_UNSATISFIABLE",
        "COST_CEILING",
        "CONSTITUTION_MISMATCH",
        "CLASSIFIER_OFF",
        "CONTENT_BLOCKED",
    },
    "UNAVAILABLE": {
        "UNAVAILABLE",
        "NO_DEPLOYMENT_AVAILABLE",
        "NOT_READY",
        "BREAKER_OPEN",
        "QUEUE_FULL",
        "DRAINING",
        "ENGINE_LOST",
        "PROVIDER_UNREACHABLE",
        "PROVIDER_TIMEOUT",
        "PROVIDER_OVERLOADED",
        "PROVIDER_FAILED",
    },
    "DEADLINE_EXCEEDED": {"DEADLINE_EXCEEDED", "DEADLINE_TOO_SHORT"},
    "INTERNAL": {"INTERNAL", "ENGINE_LOST", "PROVIDER_AUTH", "PROVIDER_QUOTA", "PROVIDER_REJECTED"},
}


def subclasses(kind: type[TierwayError] = TierwayError) -> Iterator[type[TierwayError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


ALL = sorted(set(subclasses()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL)
async def test_each_error_has_a_code_and_a_reason_of_the_table(kind: type[TierwayError]) -> None:
    error = kind("a sentence", field="query.prompt", retry_after_s=0.25)
    made = status.status_of(error, "r-1")
    assert error.reason in CODES[code_pb2.Code.Name(made.code)]
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{1,61}[A-Z0-9]", error.reason)
    assert made.message == "a sentence"
    kinds = [packed.type_url.removeprefix("type.googleapis.com/google.rpc.") for packed in made.details]
    assert kinds[:2] == ["ErrorInfo", "RequestInfo"]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("kind", ALL)
async def test_only_what_may_succeed_elsewhere_falls_back(kind: type[TierwayError]) -> None:
    elsewhere = {
        "CONTEXT_TOO_LONG",
        "COST_CEILING",
        "RATE_LIMITED",
        "BUDGET_EXHAUSTED",
        "UNAVAILABLE",
        "BREAKER_OPEN",
        "NO_DEPLOYMENT_AVAILABLE",
        "NOT_READY",
        "QUEUE_FULL",
        "PROVIDER_UNREACHABLE",
        "PROVIDER_TIMEOUT",
        "PROVIDER_OVERLOADED",
        "PROVIDER_FAILED",
        "PROVIDER_AUTH",
        "PROVIDER_QUOTA",
        "PROVIDER_REJECTED",
    }
    elsewhere |= {"ENGINE_LOST"} if issubclass(kind, errors.UnavailableError) else set()
    elsewhere |= {"INVALID_FIELD"} if issubclass(kind, errors.NotOfferedError) else set()
    assert kind.can_fall_back is (kind.reason in elsewhere)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (InvalidRequestError("no", field="query"), "BadRequest"),
        (UnknownModelError("no", metadata={"model": "x"}), "ResourceInfo"),
        (ConstitutionMismatchError("no"), "PreconditionFailure"),
        (CostCeilingError("no"), "PreconditionFailure"),
        (RateLimitedError("no", metadata={"limit": "x"}), "QuotaFailure"),
        (BudgetExhaustedError("no", metadata={"budget": "x"}), "QuotaFailure"),
        (UnknownDeploymentError("no", metadata={"deployment": "x"}), "ResourceInfo"),
        (QueueFullError("no", retry_after_s=0.5), "RetryInfo"),
    ],
)
async def test_each_kind_has_the_detail_that_belongs_to_it(error: TierwayError, detail: str) -> None:
    made = status.status_of(error, "r-1")
    assert detail in [packed.type_url.rpartition(".")[2] for packed in made.details]


async def test_what_a_message_mentions_is_in_the_metadata_under_a_proper_key() -> None:
    made = status.status_of(InvalidRequestError("7 is too much", field="query", metadata={"limit": "7"}), "r-1")
    info = error_details_pb2.ErrorInfo()
    assert made.details[0].Unpack(info)
    assert dict(info.metadata) == {"limit": "7", "field": "query"}
    assert all(re.fullmatch(r"[a-z][a-zA-Z0-9-_]+", key) for key in info.metadata)


async def test_pushback_is_for_what_may_be_tried_again_only() -> None:
    again = dict(status.trailing_metadata(QueueFullError("full", retry_after_s=0.25), "r"))
    assert again["grpc-retry-pushback-ms"] == "250"
    assert "grpc-retry-pushback-ms" not in dict(
        status.trailing_metadata(InvalidRequestError("no", retry_after_s=0.25), "r")
    )
    assert dict(status.trailing_metadata(QueueFullError("full"), "r"))["grpc-retry-pushback-ms"] == "-1"  # never


async def test_go_names_are_gos() -> None:
    assert set(status.GO_NAMES.values()) == {
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
        "Unauthenticated", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal",
        "Unavailable", "DataLoss",
    }  # fmt: skip


async def test_the_drawn_tree_names_every_error() -> None:
    drawn = importlib.import_module("tierway_server.errors").__doc__ or ""
    for kind in ALL:
        assert re.search(rf"\b{kind.__name__}\s+{kind.reason}\b|\b{kind.__name__}\s+\(", drawn), kind.__name__


class TestForeignExceptions:
    @pytest.mark.parametrize("exception", [ValueError("hunter2"), KeyError("hunter2"), RuntimeError("hunter2")])
    async def test_are_internal_without_their_text(self, shared_server: RunningServer, exception: Exception) -> None:
        shared_server.engine().script(exception)
        refusal = await refused(shared_server.router.Execute(execute()))
        assert (refusal.code.name, refusal.reason) == ("INTERNAL", "INTERNAL")
        everything = f"{refusal.status}{refusal.message}{refusal.trailers}"
        assert "hunter2" not in everything
        assert type(exception).__name__ not in everything

    async def test_are_internal_even_when_they_look_like_a_deadline_that_has_not_passed(
        self, shared_server: RunningServer
    ) -> None:
        shared_server.engine().script(TimeoutError("hunter2"))
        assert (await refused(shared_server.router.Execute(execute()))).reason == "INTERNAL"

    async def test_in_the_middle_of_a_stream_are_internal_without_their_text(
        self, shared_server: RunningServer
    ) -> None:
        shared_server.engine().script("one", ValueError("hunter2"))
        call = shared_server.router.Stream(stream())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert refusal_of(caught.value).reason == "INTERNAL"
        assert "hunter2" not in str(refusal_of(caught.value).status)


@pytest.mark.parametrize(
    "preferences",
    [
        {"force_model": "m" * 500_000},
        {"task_type": "t" * 500_000},
        {"expected_constitution_hash": "h" * 500_000},
        {"agent": "é" * 500_000},
    ],
    ids=lambda preferences: next(iter(preferences)),
)
async def test_trailers_stay_small_whatever_was_asked(
    shared_server: RunningServer, preferences: dict[str, str]
) -> None:
    refusal = await refused(shared_server.router.Route(route(**preferences)))
    assert refusal.field == f"preferences.{next(iter(preferences))}"
    size = sum(len(key) + len(value) for key, value in refusal.trailers.items()) + len(refusal.message.encode())
    assert size < MAX_TRAILERS_BYTES


@pytest.mark.parametrize("name", ["é" * 100, "\n\r\t\x00", "\U0001f600", '"; DROP'])
async def test_odd_texts_travel_in_a_status_unharmed(shared_server: RunningServer, name: str) -> None:
    refusal = await refused(shared_server.router.Route(route(force_model=name)))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
