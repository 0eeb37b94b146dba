import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_SYSTEM: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
    ROLE_ASSISTANT: _ClassVar[Role]
    ROLE_TOOL: _ClassVar[Role]

class ToolMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_MODE_UNSPECIFIED: _ClassVar[ToolMode]
    TOOL_MODE_AUTO: _ClassVar[ToolMode]
    TOOL_MODE_NONE: _ClassVar[ToolMode]
    TOOL_MODE_REQUIRED: _ClassVar[ToolMode]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INTERACTIVE: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_BATCH: _ClassVar[Priority]

class Label(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_UNSPECIFIED: _ClassVar[Label]
    LABEL_SIMPLE: _ClassVar[Label]
    LABEL_MEDIUM: _ClassVar[Label]
    LABEL_COMPLEX: _ClassVar[Label]
    LABEL_REASONING: _ClassVar[Label]

class FeatureKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_KIND_UNSPECIFIED: _ClassVar[FeatureKind]
    FEATURE_KIND_COUNTER: _ClassVar[FeatureKind]
    FEATURE_KIND_WORD: _ClassVar[FeatureKind]
    FEATURE_KIND_PAIR: _ClassVar[FeatureKind]
    FEATURE_KIND_CHARACTERS: _ClassVar[FeatureKind]

class Complexity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPLEXITY_UNSPECIFIED: _ClassVar[Complexity]
    COMPLEXITY_TRIVIAL: _ClassVar[Complexity]
    COMPLEXITY_SIMPLE: _ClassVar[Complexity]
    COMPLEXITY_MODERATE: _ClassVar[Complexity]
    COMPLEXITY_COMPLEX: _ClassVar[Complexity]
    COMPLEXITY_VISION: _ClassVar[Complexity]

class ReasonCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_CODE_UNSPECIFIED: _ClassVar[ReasonCode]
    REASON_CODE_COMPLEXITY_FLOOR: _ClassVar[ReasonCode]
    REASON_CODE_TASK_TYPE_FLOOR: _ClassVar[ReasonCode]
    REASON_CODE_PIN_AGENT: _ClassVar[ReasonCode]
    REASON_CODE_PIN_GOVERNANCE: _ClassVar[ReasonCode]
    REASON_CODE_PIN_VISION: _ClassVar[ReasonCode]
    REASON_CODE_FORCED_MODEL: _ClassVar[ReasonCode]
    REASON_CODE_PREFER_VISION: _ClassVar[ReasonCode]
    REASON_CODE_FLOOR_DEGRADED: _ClassVar[ReasonCode]
    REASON_CODE_CHEAPEST: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_UNAVAILABLE: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_TIER: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_CONTEXT: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_VISION: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_RESPONSE_FORMAT: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_COMPLIANCE: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_COST: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_LATENCY: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_FORCED_MODEL: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_LOGPROBS: _ClassVar[ReasonCode]
    REASON_CODE_ASSESSED: _ClassVar[ReasonCode]
    REASON_CODE_UNSURE: _ClassVar[ReasonCode]
    REASON_CODE_COST_QUALITY: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_TENANT: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_REGION: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_BREAKER: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_RATE_LIMIT: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_BUDGET: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_DEADLINE: _ClassVar[ReasonCode]
    REASON_CODE_RULE: _ClassVar[ReasonCode]
    REASON_CODE_EXPERIMENT: _ClassVar[ReasonCode]
    REASON_CODE_STRATEGY: _ClassVar[ReasonCode]
    REASON_CODE_BUDGET_LOW: _ClassVar[ReasonCode]
    REASON_CODE_FILTERED_UNSUPPORTED: _ClassVar[ReasonCode]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_CONTENT_FILTER: _ClassVar[FinishReason]
    FINISH_REASON_TOOL_CALLS: _ClassVar[FinishReason]

class AttemptOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_OUTCOME_UNSPECIFIED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_ANSWERED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_FELL_BACK: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_BROKE_OFF: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_ESCALATED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_OUTRUN: _ClassVar[AttemptOutcome]
ROLE_UNSPECIFIED: Role
ROLE_SYSTEM: Role
ROLE_USER: Role
ROLE_ASSISTANT: Role
ROLE_TOOL: Role
TOOL_MODE_UNSPECIFIED: ToolMode
TOOL_MODE_AUTO: ToolMode
TOOL_MODE_NONE: ToolMode
TOOL_MODE_REQUIRED: ToolMode
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INTERACTIVE: Priority
PRIORITY_NORMAL: Priority
PRIORITY_BATCH: Priority
LABEL_UNSPECIFIED: Label
LABEL_SIMPLE: Label
LABEL_MEDIUM: Label
LABEL_COMPLEX: Label
LABEL_REASONING: Label
FEATURE_KIND_UNSPECIFIED: FeatureKind
FEATURE_KIND_COUNTER: FeatureKind
FEATURE_KIND_WORD: FeatureKind
FEATURE_KIND_PAIR: FeatureKind
FEATURE_KIND_CHARACTERS: FeatureKind
COMPLEXITY_UNSPECIFIED: Complexity
COMPLEXITY_TRIVIAL: Complexity
COMPLEXITY_SIMPLE: Complexity
COMPLEXITY_MODERATE: Complexity
COMPLEXITY_COMPLEX: Complexity
COMPLEXITY_VISION: Complexity
REASON_CODE_UNSPECIFIED: ReasonCode
REASON_CODE_COMPLEXITY_FLOOR: ReasonCode
REASON_CODE_TASK_TYPE_FLOOR: ReasonCode
REASON_CODE_PIN_AGENT: ReasonCode
REASON_CODE_PIN_GOVERNANCE: ReasonCode
REASON_CODE_PIN_VISION: ReasonCode
REASON_CODE_FORCED_MODEL: ReasonCode
REASON_CODE_PREFER_VISION: ReasonCode
REASON_CODE_FLOOR_DEGRADED: ReasonCode
REASON_CODE_CHEAPEST: ReasonCode
REASON_CODE_FILTERED_UNAVAILABLE: ReasonCode
REASON_CODE_FILTERED_TIER: ReasonCode
REASON_CODE_FILTERED_CONTEXT: ReasonCode
REASON_CODE_FILTERED_VISION: ReasonCode
REASON_CODE_FILTERED_RESPONSE_FORMAT: ReasonCode
REASON_CODE_FILTERED_COMPLIANCE: ReasonCode
REASON_CODE_FILTERED_COST: ReasonCode
REASON_CODE_FILTERED_LATENCY: ReasonCode
REASON_CODE_FILTERED_FORCED_MODEL: ReasonCode
REASON_CODE_FILTERED_LOGPROBS: ReasonCode
REASON_CODE_ASSESSED: ReasonCode
REASON_CODE_UNSURE: ReasonCode
REASON_CODE_COST_QUALITY: ReasonCode
REASON_CODE_FILTERED_TENANT: ReasonCode
REASON_CODE_FILTERED_REGION: ReasonCode
REASON_CODE_FILTERED_BREAKER: ReasonCode
REASON_CODE_FILTERED_RATE_LIMIT: ReasonCode
REASON_CODE_FILTERED_BUDGET: ReasonCode
REASON_CODE_FILTERED_DEADLINE: ReasonCode
REASON_CODE_RULE: ReasonCode
REASON_CODE_EXPERIMENT: ReasonCode
REASON_CODE_STRATEGY: ReasonCode
REASON_CODE_BUDGET_LOW: ReasonCode
REASON_CODE_FILTERED_UNSUPPORTED: ReasonCode
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_CONTENT_FILTER: FinishReason
FINISH_REASON_TOOL_CALLS: FinishReason
ATTEMPT_OUTCOME_UNSPECIFIED: AttemptOutcome
ATTEMPT_OUTCOME_ANSWERED: AttemptOutcome
ATTEMPT_OUTCOME_FELL_BACK: AttemptOutcome
ATTEMPT_OUTCOME_BROKE_OFF: AttemptOutcome
ATTEMPT_OUTCOME_ESCALATED: AttemptOutcome
ATTEMPT_OUTCOME_OUTRUN: AttemptOutcome

class Query(_message.Message):
    __slots__ = ("prompt", "messages", "tools", "response_format", "tool_choice")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TOOL_CHOICE_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    response_format: ResponseFormat
    tool_choice: ToolChoice
    def __init__(self, prompt: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ..., response_format: _Optional[_Union[ResponseFormat, _Mapping]] = ..., tool_choice: _Optional[_Union[ToolChoice, _Mapping]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("role", "parts", "tool_calls", "tool_call_id")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    role: Role
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    tool_calls: _containers.RepeatedCompositeFieldContainer[ToolCall]
    tool_call_id: str
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ..., tool_calls: _Optional[_Iterable[_Union[ToolCall, _Mapping]]] = ..., tool_call_id: _Optional[str] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("text", "image")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    text: str
    image: Image
    def __init__(self, text: _Optional[str] = ..., image: _Optional[_Union[Image, _Mapping]] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("data", "uri", "mime_type")
    DATA_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    uri: str
    mime_type: str
    def __init__(self, data: _Optional[bytes] = ..., uri: _Optional[str] = ..., mime_type: _Optional[str] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description", "parameters")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameters: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ToolChoice(_message.Message):
    __slots__ = ("mode", "name", "parallel")
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_FIELD_NUMBER: _ClassVar[int]
    mode: ToolMode
    name: str
    parallel: bool
    def __init__(self, mode: _Optional[_Union[ToolMode, str]] = ..., name: _Optional[str] = ..., parallel: _Optional[bool] = ...) -> None: ...

class ToolCall(_message.Message):
    __slots__ = ("id", "name", "arguments")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    arguments: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., arguments: _Optional[str] = ...) -> None: ...

class ResponseFormat(_message.Message):
    __slots__ = ("json_object", "json_schema")
    JSON_OBJECT_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    json_object: JsonObject
    json_schema: _struct_pb2.Struct
    def __init__(self, json_object: _Optional[_Union[JsonObject, _Mapping]] = ..., json_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class JsonObject(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Preferences(_message.Message):
    __slots__ = ("agent", "task_type", "force_model", "min_tier", "max_tier", "max_cost_usd", "latency_budget", "min_compliance", "cost_quality", "allow_fallback", "allow_escalation", "expected_constitution_hash", "strategy", "regions", "sticky_key", "allow_takeover", "allow_hedging", "max_cache_age", "priority")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    FORCE_MODEL_FIELD_NUMBER: _ClassVar[int]
    MIN_TIER_FIELD_NUMBER: _ClassVar[int]
    MAX_TIER_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_BUDGET_FIELD_NUMBER: _ClassVar[int]
    MIN_COMPLIANCE_FIELD_NUMBER: _ClassVar[int]
    COST_QUALITY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ESCALATION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_CONSTITUTION_HASH_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    STICKY_KEY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_TAKEOVER_FIELD_NUMBER: _ClassVar[int]
    ALLOW_HEDGING_FIELD_NUMBER: _ClassVar[int]
    MAX_CACHE_AGE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    agent: str
    task_type: str
    force_model: str
    min_tier: int
    max_tier: int
    max_cost_usd: float
    latency_budget: _duration_pb2.Duration
    min_compliance: float
    cost_quality: float
    allow_fallback: bool
    allow_escalation: bool
    expected_constitution_hash: str
    strategy: str
    regions: _containers.RepeatedScalarFieldContainer[str]
    sticky_key: str
    allow_takeover: bool
    allow_hedging: bool
    max_cache_age: _duration_pb2.Duration
    priority: Priority
    def __init__(self, agent: _Optional[str] = ..., task_type: _Optional[str] = ..., force_model: _Optional[str] = ..., min_tier: _Optional[int] = ..., max_tier: _Optional[int] = ..., max_cost_usd: _Optional[float] = ..., latency_budget: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., min_compliance: _Optional[float] = ..., cost_quality: _Optional[float] = ..., allow_fallback: _Optional[bool] = ..., allow_escalation: _Optional[bool] = ..., expected_constitution_hash: _Optional[str] = ..., strategy: _Optional[str] = ..., regions: _Optional[_Iterable[str]] = ..., sticky_key: _Optional[str] = ..., allow_takeover: _Optional[bool] = ..., allow_hedging: _Optional[bool] = ..., max_cache_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "presence_penalty", "frequency_penalty", "top_logprobs")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    def __init__(self, temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., max_tokens: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., presence_penalty: _Optional[float] = ..., frequency_penalty: _Optional[float] = ..., top_logprobs: _Optional[int] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("decision_id", "tier", "model", "deployment", "provider", "complexity", "confidence", "reasons", "estimated_cost_usd", "fallback_chain", "compliance_score", "expected_quality", "difficulty", "domain", "label", "cost_quality", "strategy", "rule", "experiment", "arm", "shadow_model")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COST_USD_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_CHAIN_FIELD_NUMBER: _ClassVar[int]
    COMPLIANCE_SCORE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_QUALITY_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    COST_QUALITY_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MODEL_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    tier: int
    model: str
    deployment: str
    provider: str
    complexity: Complexity
    confidence: float
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    estimated_cost_usd: float
    fallback_chain: _containers.RepeatedScalarFieldContainer[str]
    compliance_score: float
    expected_quality: float
    difficulty: float
    domain: str
    label: Label
    cost_quality: float
    strategy: str
    rule: str
    experiment: str
    arm: str
    shadow_model: str
    def __init__(self, decision_id: _Optional[str] = ..., tier: _Optional[int] = ..., model: _Optional[str] = ..., deployment: _Optional[str] = ..., provider: _Optional[str] = ..., complexity: _Optional[_Union[Complexity, str]] = ..., confidence: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., estimated_cost_usd: _Optional[float] = ..., fallback_chain: _Optional[_Iterable[str]] = ..., compliance_score: _Optional[float] = ..., expected_quality: _Optional[float] = ..., difficulty: _Optional[float] = ..., domain: _Optional[str] = ..., label: _Optional[_Union[Label, str]] = ..., cost_quality: _Optional[float] = ..., strategy: _Optional[str] = ..., rule: _Optional[str] = ..., experiment: _Optional[str] = ..., arm: _Optional[str] = ..., shadow_model: _Optional[str] = ...) -> None: ...

class Assessment(_message.Message):
    __slots__ = ("difficulty", "sigma", "band_pass", "tier", "domain", "domain_probability", "label", "label_probabilities", "confidence", "gain", "familiarity")
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    BAND_PASS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    difficulty: float
    sigma: float
    band_pass: _containers.RepeatedScalarFieldContainer[float]
    tier: int
    domain: str
    domain_probability: float
    label: Label
    label_probabilities: _containers.RepeatedScalarFieldContainer[float]
    confidence: float
    gain: float
    familiarity: float
    def __init__(self, difficulty: _Optional[float] = ..., sigma: _Optional[float] = ..., band_pass: _Optional[_Iterable[float]] = ..., tier: _Optional[int] = ..., domain: _Optional[str] = ..., domain_probability: _Optional[float] = ..., label: _Optional[_Union[Label, str]] = ..., label_probabilities: _Optional[_Iterable[float]] = ..., confidence: _Optional[float] = ..., gain: _Optional[float] = ..., familiarity: _Optional[float] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("deployment", "model", "tier", "expected_quality", "cost_usd", "utility", "rank", "left_out")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    UTILITY_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    model: str
    tier: int
    expected_quality: float
    cost_usd: float
    utility: float
    rank: int
    left_out: Reason
    def __init__(self, deployment: _Optional[str] = ..., model: _Optional[str] = ..., tier: _Optional[int] = ..., expected_quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., utility: _Optional[float] = ..., rank: _Optional[int] = ..., left_out: _Optional[_Union[Reason, _Mapping]] = ...) -> None: ...

class Feature(_message.Message):
    __slots__ = ("kind", "name", "weight")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    kind: FeatureKind
    name: str
    weight: float
    def __init__(self, kind: _Optional[_Union[FeatureKind, str]] = ..., name: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "subject", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: ReasonCode
    subject: str
    detail: str
    def __init__(self, code: _Optional[_Union[ReasonCode, str]] = ..., subject: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("decision_time", "time_to_first_token", "total_time", "hold_time")
    DECISION_TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TIME_FIELD_NUMBER: _ClassVar[int]
    HOLD_TIME_FIELD_NUMBER: _ClassVar[int]
    decision_time: _duration_pb2.Duration
    time_to_first_token: _duration_pb2.Duration
    total_time: _duration_pb2.Duration
    hold_time: _duration_pb2.Duration
    def __init__(self, decision_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., time_to_first_token: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., hold_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("model", "deployment", "outcome", "reason", "text_characters", "cost_usd")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    model: str
    deployment: str
    outcome: AttemptOutcome
    reason: str
    text_characters: int
    cost_usd: float
    def __init__(self, model: _Optional[str] = ..., deployment: _Optional[str] = ..., outcome: _Optional[_Union[AttemptOutcome, str]] = ..., reason: _Optional[str] = ..., text_characters: _Optional[int] = ..., cost_usd: _Optional[float] = ...) -> None: ...

class TokenLogprob(_message.Message):
    __slots__ = ("token", "logprob", "top")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    token: str
    logprob: float
    top: _containers.RepeatedCompositeFieldContainer[TopLogprob]
    def __init__(self, token: _Optional[str] = ..., logprob: _Optional[float] = ..., top: _Optional[_Iterable[_Union[TopLogprob, _Mapping]]] = ...) -> None: ...

class TopLogprob(_message.Message):
    __slots__ = ("token", "logprob")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    token: str
    logprob: float
    def __init__(self, token: _Optional[str] = ..., logprob: _Optional[float] = ...) -> None: ...
