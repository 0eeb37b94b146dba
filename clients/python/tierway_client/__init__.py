"""The client of Tierway: `Client` for threads, `AsyncClient` for asyncio.

    with Client("127.0.0.1:50051") as client:
        print(client.route("What is 2 + 2?").model)
        for text in client.stream("What is the capital of France?").text():
            print(text, end="", flush=True)

Everything public is here; modules that begin with an underscore may change.
"""

from tierway_client._admin import AdminClient
from tierway_client._aio_client import AsyncClient
from tierway_client._aio_stream import AsyncStream
from tierway_client._client import Client
from tierway_client._enums import (
    AttemptOutcome,
    BreakerSetting,
    BreakerState,
    Complexity,
    FeatureKind,
    FinishReason,
    Label,
    Priority,
    ReasonCode,
    Role,
    ToolMode,
)
from tierway_client._errors import (
    BudgetExhaustedError,
    CancelledCallError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ResourceExhaustedError,
    TierwayError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from tierway_client._events import AttemptFailed, Delta, Event, Finished, Started
from tierway_client._explanation import Assessment, Candidate, Explanation, Feature
from tierway_client._fleet import (
    AnswerStats,
    BudgetStats,
    ClassifierStats,
    DeploymentInfo,
    DeploymentStats,
    LimitStats,
    ModelInfo,
    ModelStats,
    Stats,
)
from tierway_client._query import (
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Preferences,
    Query,
    QueryFields,
    Sampling,
    Text,
)
from tierway_client._results import Answer, Attempt, Decision, Reason, Timings, TokenLogprob, TopLogprob, Usage
from tierway_client._stream import Stream
from tierway_client._tools import Tool, ToolCall, ToolChoice
from tierway_client._version import __version__

__all__ = [
    "AdminClient",
    "Answer",
    "AnswerStats",
    "Assessment",
    "AsyncClient",
    "AsyncStream",
    "Attempt",
    "AttemptFailed",
    "AttemptOutcome",
    "BreakerSetting",
    "BreakerState",
    "BudgetExhaustedError",
    "BudgetStats",
    "CancelledCallError",
    "Candidate",
    "ClassifierStats",
    "Client",
    "Complexity",
    "DeadlineExceededError",
    "Decision",
    "Delta",
    "DeploymentInfo",
    "DeploymentStats",
    "Event",
    "Explanation",
    "FailedPreconditionError",
    "Feature",
    "FeatureKind",
    "FieldViolation",
    "FinishReason",
    "Finished",
    "Image",
    "InternalError",
    "InvalidArgumentError",
    "JsonObject",
    "JsonSchema",
    "Label",
    "LimitStats",
    "Message",
    "ModelInfo",
    "ModelStats",
    "NotFoundError",
    "PermissionDeniedError",
    "Preferences",
    "Priority",
    "Query",
    "QueryFields",
    "RateLimitedError",
    "Reason",
    "ReasonCode",
    "ResourceExhaustedError",
    "Role",
    "Sampling",
    "Started",
    "Stats",
    "Stream",
    "Text",
    "TierwayError",
    "Timings",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolMode",
    "TopLogprob",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "Usage",
    "__version__",
]
