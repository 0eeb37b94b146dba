import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tierway.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BreakerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BREAKER_STATE_UNSPECIFIED: _ClassVar[BreakerState]
    BREAKER_STATE_CLOSED: _ClassVar[BreakerState]
    BREAKER_STATE_OPEN: _ClassVar[BreakerState]
    BREAKER_STATE_HALF_OPEN: _ClassVar[BreakerState]
BREAKER_STATE_UNSPECIFIED: BreakerState
BREAKER_STATE_CLOSED: BreakerState
BREAKER_STATE_OPEN: BreakerState
BREAKER_STATE_HALF_OPEN: BreakerState

class RouteRequest(_message.Message):
    __slots__ = ("query", "preferences", "sampling", "request_id")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    query: _types_pb2.Query
    preferences: _types_pb2.Preferences
    sampling: _types_pb2.Sampling
    request_id: str
    def __init__(self, query: _Optional[_Union[_types_pb2.Query, _Mapping]] = ..., preferences: _Optional[_Union[_types_pb2.Preferences, _Mapping]] = ..., sampling: _Optional[_Union[_types_pb2.Sampling, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("decision", "constitution_hash", "request_id")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    decision: _types_pb2.Decision
    constitution_hash: str
    request_id: str
    def __init__(self, decision: _Optional[_Union[_types_pb2.Decision, _Mapping]] = ..., constitution_hash: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("query", "preferences", "sampling", "request_id", "max_features")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_FEATURES_FIELD_NUMBER: _ClassVar[int]
    query: _types_pb2.Query
    preferences: _types_pb2.Preferences
    sampling: _types_pb2.Sampling
    request_id: str
    max_features: int
    def __init__(self, query: _Optional[_Union[_types_pb2.Query, _Mapping]] = ..., preferences: _Optional[_Union[_types_pb2.Preferences, _Mapping]] = ..., sampling: _Optional[_Union[_types_pb2.Sampling, _Mapping]] = ..., request_id: _Optional[str] = ..., max_features: _Optional[int] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision", "constitution_hash", "request_id", "assessment", "candidates", "features")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ASSESSMENT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    decision: _types_pb2.Decision
    constitution_hash: str
    request_id: str
    assessment: _types_pb2.Assessment
    candidates: _containers.RepeatedCompositeFieldContainer[_types_pb2.Candidate]
    features: _containers.RepeatedCompositeFieldContainer[_types_pb2.Feature]
    def __init__(self, decision: _Optional[_Union[_types_pb2.Decision, _Mapping]] = ..., constitution_hash: _Optional[str] = ..., request_id: _Optional[str] = ..., assessment: _Optional[_Union[_types_pb2.Assessment, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[_types_pb2.Candidate, _Mapping]]] = ..., features: _Optional[_Iterable[_Union[_types_pb2.Feature, _Mapping]]] = ...) -> None: ...

class RouteBatchRequest(_message.Message):
    __slots__ = ("requests", "include_reasons")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REASONS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RouteRequest]
    include_reasons: bool
    def __init__(self, requests: _Optional[_Iterable[_Union[RouteRequest, _Mapping]]] = ..., include_reasons: _Optional[bool] = ...) -> None: ...

class RouteBatchResponse(_message.Message):
    __slots__ = ("results", "constitution_hash")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RouteResult]
    constitution_hash: str
    def __init__(self, results: _Optional[_Iterable[_Union[RouteResult, _Mapping]]] = ..., constitution_hash: _Optional[str] = ...) -> None: ...

class RouteResult(_message.Message):
    __slots__ = ("decision", "error", "request_id")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    decision: _types_pb2.Decision
    error: RouteError
    request_id: str
    def __init__(self, decision: _Optional[_Union[_types_pb2.Decision, _Mapping]] = ..., error: _Optional[_Union[RouteError, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RouteError(_message.Message):
    __slots__ = ("code", "reason", "message", "field")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    field: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ...) -> None: ...

class ExecuteRequest(_message.Message):
    __slots__ = ("query", "preferences", "sampling", "request_id")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    query: _types_pb2.Query
    preferences: _types_pb2.Preferences
    sampling: _types_pb2.Sampling
    request_id: str
    def __init__(self, query: _Optional[_Union[_types_pb2.Query, _Mapping]] = ..., preferences: _Optional[_Union[_types_pb2.Preferences, _Mapping]] = ..., sampling: _Optional[_Union[_types_pb2.Sampling, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExecuteResponse(_message.Message):
    __slots__ = ("decision", "constitution_hash", "request_id", "text", "usage", "cost_usd", "timings", "finish_reason", "attempts", "logprobs", "tool_calls", "confidence", "cached")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    decision: _types_pb2.Decision
    constitution_hash: str
    request_id: str
    text: str
    usage: _types_pb2.Usage
    cost_usd: float
    timings: _types_pb2.Timings
    finish_reason: _types_pb2.FinishReason
    attempts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Attempt]
    logprobs: _containers.RepeatedCompositeFieldContainer[_types_pb2.TokenLogprob]
    tool_calls: _containers.RepeatedCompositeFieldContainer[_types_pb2.ToolCall]
    confidence: float
    cached: bool
    def __init__(self, decision: _Optional[_Union[_types_pb2.Decision, _Mapping]] = ..., constitution_hash: _Optional[str] = ..., request_id: _Optional[str] = ..., text: _Optional[str] = ..., usage: _Optional[_Union[_types_pb2.Usage, _Mapping]] = ..., cost_usd: _Optional[float] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ..., finish_reason: _Optional[_Union[_types_pb2.FinishReason, str]] = ..., attempts: _Optional[_Iterable[_Union[_types_pb2.Attempt, _Mapping]]] = ..., logprobs: _Optional[_Iterable[_Union[_types_pb2.TokenLogprob, _Mapping]]] = ..., tool_calls: _Optional[_Iterable[_Union[_types_pb2.ToolCall, _Mapping]]] = ..., confidence: _Optional[float] = ..., cached: _Optional[bool] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("query", "preferences", "sampling", "request_id")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    query: _types_pb2.Query
    preferences: _types_pb2.Preferences
    sampling: _types_pb2.Sampling
    request_id: str
    def __init__(self, query: _Optional[_Union[_types_pb2.Query, _Mapping]] = ..., preferences: _Optional[_Union[_types_pb2.Preferences, _Mapping]] = ..., sampling: _Optional[_Union[_types_pb2.Sampling, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StreamResponse(_message.Message):
    __slots__ = ("delta", "started", "attempt", "finished")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    delta: StreamDelta
    started: StreamStarted
    attempt: _types_pb2.Attempt
    finished: StreamFinished
    def __init__(self, delta: _Optional[_Union[StreamDelta, _Mapping]] = ..., started: _Optional[_Union[StreamStarted, _Mapping]] = ..., attempt: _Optional[_Union[_types_pb2.Attempt, _Mapping]] = ..., finished: _Optional[_Union[StreamFinished, _Mapping]] = ...) -> None: ...

class StreamDelta(_message.Message):
    __slots__ = ("text", "token_count", "logprobs", "tool_calls")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    text: str
    token_count: int
    logprobs: _containers.RepeatedCompositeFieldContainer[_types_pb2.TokenLogprob]
    tool_calls: _containers.RepeatedCompositeFieldContainer[_types_pb2.ToolCall]
    def __init__(self, text: _Optional[str] = ..., token_count: _Optional[int] = ..., logprobs: _Optional[_Iterable[_Union[_types_pb2.TokenLogprob, _Mapping]]] = ..., tool_calls: _Optional[_Iterable[_Union[_types_pb2.ToolCall, _Mapping]]] = ...) -> None: ...

class StreamStarted(_message.Message):
    __slots__ = ("decision", "constitution_hash", "request_id")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    decision: _types_pb2.Decision
    constitution_hash: str
    request_id: str
    def __init__(self, decision: _Optional[_Union[_types_pb2.Decision, _Mapping]] = ..., constitution_hash: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class StreamFinished(_message.Message):
    __slots__ = ("usage", "cost_usd", "timings", "finish_reason", "confidence", "attempts", "constitution_hash", "cached")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    usage: _types_pb2.Usage
    cost_usd: float
    timings: _types_pb2.Timings
    finish_reason: _types_pb2.FinishReason
    confidence: float
    attempts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Attempt]
    constitution_hash: str
    cached: bool
    def __init__(self, usage: _Optional[_Union[_types_pb2.Usage, _Mapping]] = ..., cost_usd: _Optional[float] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ..., finish_reason: _Optional[_Union[_types_pb2.FinishReason, str]] = ..., confidence: _Optional[float] = ..., attempts: _Optional[_Iterable[_Union[_types_pb2.Attempt, _Mapping]]] = ..., constitution_hash: _Optional[str] = ..., cached: _Optional[bool] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token", "constitution_hash")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    constitution_hash: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., constitution_hash: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "tier", "compliance_score", "vision", "input_usd_per_million_tokens", "cached_input_usd_per_million_tokens", "output_usd_per_million_tokens", "fallback_chain", "deployments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    COMPLIANCE_SCORE_FIELD_NUMBER: _ClassVar[int]
    VISION_FIELD_NUMBER: _ClassVar[int]
    INPUT_USD_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_USD_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_USD_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_CHAIN_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    tier: int
    compliance_score: float
    vision: bool
    input_usd_per_million_tokens: float
    cached_input_usd_per_million_tokens: float
    output_usd_per_million_tokens: float
    fallback_chain: _containers.RepeatedScalarFieldContainer[str]
    deployments: _containers.RepeatedCompositeFieldContainer[Deployment]
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[int] = ..., compliance_score: _Optional[float] = ..., vision: _Optional[bool] = ..., input_usd_per_million_tokens: _Optional[float] = ..., cached_input_usd_per_million_tokens: _Optional[float] = ..., output_usd_per_million_tokens: _Optional[float] = ..., fallback_chain: _Optional[_Iterable[str]] = ..., deployments: _Optional[_Iterable[_Union[Deployment, _Mapping]]] = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("name", "provider", "available", "unavailable_reason", "context_tokens", "expected_latency", "region")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_REASON_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LATENCY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    available: bool
    unavailable_reason: str
    context_tokens: int
    expected_latency: _duration_pb2.Duration
    region: str
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., available: _Optional[bool] = ..., unavailable_reason: _Optional[str] = ..., context_tokens: _Optional[int] = ..., expected_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., region: _Optional[str] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("start_time", "models", "tiers", "errors", "in_flight", "constitution_hash", "classifier", "count_start_time", "deployments", "limits", "budgets", "strategies", "experiments", "answers")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    COUNT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    models: _containers.RepeatedCompositeFieldContainer[ModelStats]
    tiers: _containers.RepeatedCompositeFieldContainer[TierStats]
    errors: _containers.RepeatedCompositeFieldContainer[ErrorStats]
    in_flight: int
    constitution_hash: str
    classifier: ClassifierStats
    count_start_time: _timestamp_pb2.Timestamp
    deployments: _containers.RepeatedCompositeFieldContainer[DeploymentStats]
    limits: _containers.RepeatedCompositeFieldContainer[LimitStats]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetStats]
    strategies: _containers.RepeatedCompositeFieldContainer[StrategyStats]
    experiments: _containers.RepeatedCompositeFieldContainer[ExperimentStats]
    answers: AnswerStats
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., models: _Optional[_Iterable[_Union[ModelStats, _Mapping]]] = ..., tiers: _Optional[_Iterable[_Union[TierStats, _Mapping]]] = ..., errors: _Optional[_Iterable[_Union[ErrorStats, _Mapping]]] = ..., in_flight: _Optional[int] = ..., constitution_hash: _Optional[str] = ..., classifier: _Optional[_Union[ClassifierStats, _Mapping]] = ..., count_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deployments: _Optional[_Iterable[_Union[DeploymentStats, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[LimitStats, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[BudgetStats, _Mapping]]] = ..., strategies: _Optional[_Iterable[_Union[StrategyStats, _Mapping]]] = ..., experiments: _Optional[_Iterable[_Union[ExperimentStats, _Mapping]]] = ..., answers: _Optional[_Union[AnswerStats, _Mapping]] = ...) -> None: ...

class AnswerStats(_message.Message):
    __slots__ = ("judged", "weak", "escalated", "forgone", "escalation_share", "weak_alarm", "fallbacks", "takeovers", "retries", "retries_refused", "hedges", "hedges_won", "cache_hits", "cache_shared", "cache_misses")
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    WEAK_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_FIELD_NUMBER: _ClassVar[int]
    FORGONE_FIELD_NUMBER: _ClassVar[int]
    ESCALATION_SHARE_FIELD_NUMBER: _ClassVar[int]
    WEAK_ALARM_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    TAKEOVERS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    RETRIES_REFUSED_FIELD_NUMBER: _ClassVar[int]
    HEDGES_FIELD_NUMBER: _ClassVar[int]
    HEDGES_WON_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    CACHE_SHARED_FIELD_NUMBER: _ClassVar[int]
    CACHE_MISSES_FIELD_NUMBER: _ClassVar[int]
    judged: int
    weak: int
    escalated: int
    forgone: int
    escalation_share: float
    weak_alarm: bool
    fallbacks: int
    takeovers: int
    retries: int
    retries_refused: int
    hedges: int
    hedges_won: int
    cache_hits: int
    cache_shared: int
    cache_misses: int
    def __init__(self, judged: _Optional[int] = ..., weak: _Optional[int] = ..., escalated: _Optional[int] = ..., forgone: _Optional[int] = ..., escalation_share: _Optional[float] = ..., weak_alarm: _Optional[bool] = ..., fallbacks: _Optional[int] = ..., takeovers: _Optional[int] = ..., retries: _Optional[int] = ..., retries_refused: _Optional[int] = ..., hedges: _Optional[int] = ..., hedges_won: _Optional[int] = ..., cache_hits: _Optional[int] = ..., cache_shared: _Optional[int] = ..., cache_misses: _Optional[int] = ...) -> None: ...

class DeploymentStats(_message.Message):
    __slots__ = ("deployment", "breaker", "breaker_forced", "error_share", "in_flight", "first_token_time", "token_time", "minute_requests", "minute_tokens", "lanes")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FORCED_FIELD_NUMBER: _ClassVar[int]
    ERROR_SHARE_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_TIME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TIME_FIELD_NUMBER: _ClassVar[int]
    MINUTE_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MINUTE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    breaker: BreakerState
    breaker_forced: bool
    error_share: float
    in_flight: int
    first_token_time: _duration_pb2.Duration
    token_time: _duration_pb2.Duration
    minute_requests: int
    minute_tokens: int
    lanes: _containers.RepeatedCompositeFieldContainer[LaneStats]
    def __init__(self, deployment: _Optional[str] = ..., breaker: _Optional[_Union[BreakerState, str]] = ..., breaker_forced: _Optional[bool] = ..., error_share: _Optional[float] = ..., in_flight: _Optional[int] = ..., first_token_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., token_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., minute_requests: _Optional[int] = ..., minute_tokens: _Optional[int] = ..., lanes: _Optional[_Iterable[_Union[LaneStats, _Mapping]]] = ...) -> None: ...

class LaneStats(_message.Message):
    __slots__ = ("priority", "waiting", "shed")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    SHED_FIELD_NUMBER: _ClassVar[int]
    priority: _types_pb2.Priority
    waiting: int
    shed: int
    def __init__(self, priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., waiting: _Optional[int] = ..., shed: _Optional[int] = ...) -> None: ...

class LimitStats(_message.Message):
    __slots__ = ("limit", "wait_time", "refusals")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    limit: str
    wait_time: _duration_pb2.Duration
    refusals: int
    def __init__(self, limit: _Optional[str] = ..., wait_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., refusals: _Optional[int] = ...) -> None: ...

class BudgetStats(_message.Message):
    __slots__ = ("budget", "limit_usd", "spent_usd", "reserved_usd", "remaining_usd", "hard", "refusals")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_USD_FIELD_NUMBER: _ClassVar[int]
    REMAINING_USD_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    budget: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    hard: bool
    refusals: int
    def __init__(self, budget: _Optional[str] = ..., limit_usd: _Optional[float] = ..., spent_usd: _Optional[float] = ..., reserved_usd: _Optional[float] = ..., remaining_usd: _Optional[float] = ..., hard: _Optional[bool] = ..., refusals: _Optional[int] = ...) -> None: ...

class StrategyStats(_message.Message):
    __slots__ = ("strategy", "decisions")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    decisions: int
    def __init__(self, strategy: _Optional[str] = ..., decisions: _Optional[int] = ...) -> None: ...

class ExperimentStats(_message.Message):
    __slots__ = ("experiment", "arm", "decisions")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    arm: str
    decisions: int
    def __init__(self, experiment: _Optional[str] = ..., arm: _Optional[str] = ..., decisions: _Optional[int] = ...) -> None: ...

class ClassifierStats(_message.Message):
    __slots__ = ("weights", "calibration", "calibration_load_time")
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    weights: str
    calibration: str
    calibration_load_time: _timestamp_pb2.Timestamp
    def __init__(self, weights: _Optional[str] = ..., calibration: _Optional[str] = ..., calibration_load_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ModelStats(_message.Message):
    __slots__ = ("model", "decisions", "answers", "failures", "usage", "cost_usd")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    model: str
    decisions: int
    answers: int
    failures: int
    usage: _types_pb2.Usage
    cost_usd: float
    def __init__(self, model: _Optional[str] = ..., decisions: _Optional[int] = ..., answers: _Optional[int] = ..., failures: _Optional[int] = ..., usage: _Optional[_Union[_types_pb2.Usage, _Mapping]] = ..., cost_usd: _Optional[float] = ...) -> None: ...

class TierStats(_message.Message):
    __slots__ = ("tier", "decisions")
    TIER_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    tier: int
    decisions: int
    def __init__(self, tier: _Optional[int] = ..., decisions: _Optional[int] = ...) -> None: ...

class ErrorStats(_message.Message):
    __slots__ = ("reason", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
