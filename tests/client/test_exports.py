"""The public names are a promise: adding one is a decision, removing one breaks callers."""

import dataclasses

import tierway_client

PUBLIC_NAMES = [
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


def test_public_names_are_frozen() -> None:
    assert sorted(tierway_client.__all__) == sorted(PUBLIC_NAMES)
    assert all(hasattr(tierway_client, name) for name in PUBLIC_NAMES)


def test_every_public_class_says_what_it_is() -> None:
    classes = [value for name in PUBLIC_NAMES if isinstance(value := getattr(tierway_client, name), type)]
    assert [cls.__name__ for cls in classes if not cls.__doc__] == []


def test_both_clients_offer_the_same_calls_with_the_same_arguments() -> None:
    def calls(cls: type) -> dict[str, list[str]]:
        return {
            name: list(method.__code__.co_varnames[: method.__code__.co_argcount + method.__code__.co_kwonlyargcount])
            for name, method in vars(cls).items()
            if not name.startswith("_")
        }

    assert calls(tierway_client.Client) == calls(tierway_client.AsyncClient)


def test_query_fields_are_the_fields_of_query_besides_the_prompt() -> None:
    fields = {field.name for field in dataclasses.fields(tierway_client.Query)} - {"prompt"}
    assert set(tierway_client.QueryFields.__annotations__) == fields
