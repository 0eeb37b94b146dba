"""What comes back for a query: the decision and the answer. Frozen values; seconds and USD are floats."""

from dataclasses import dataclass

from tierway_client._enums import AttemptOutcome, Complexity, FinishReason, Label, ReasonCode
from tierway_client._tools import ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One step of the explanation of a decision."""

    code: ReasonCode
    """What happened."""

    subject: str
    """What it is about: a deployment, an agent, a task type; empty when the code says it all."""

    detail: str
    """The same for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which model should answer, and why."""

    decision_id: str
    """Names this decision in logs and metrics."""

    tier: int
    """The tier of the chosen model, 1 (nano) to 5 (expert)."""

    model: str
    """The chosen model's name."""

    deployment: str
    """The chosen deployment of the model."""

    provider: str
    """Who runs the deployment; `vllm` for an engine in the server's process."""

    complexity: Complexity
    """The complexity class of the query."""

    confidence: float | None
    """How far the learned assessment can be trusted, 0 to 1; None where the server has none, as below."""

    expected_quality: float | None
    """The probability that the chosen model answers well, 0 to 1."""

    difficulty: float | None
    """How hard the query is, on the scale of the models' abilities."""

    domain: str
    """What the query is about, such as `law`; empty where the server does not assess."""

    label: Label
    """What kind of query it is."""

    cost_quality: float | None
    """The dial that the choice was made with, 0 (cheapest) to 1 (best)."""

    reasons: tuple[Reason, ...]
    """Why it came out so, in the order in which it was found."""

    estimated_cost_usd: float
    """The expected cost, in USD."""

    fallback_chain: tuple[str, ...]
    """Models that would answer next if the chosen one failed, in order."""

    compliance_score: float
    """The compliance score of the chosen model, 0 to 1."""

    strategy: str
    """The strategy that chose among the models that might answer."""

    rule: str
    """The rule of the server's configuration that held; empty when none did."""

    experiment: str
    """The experiment that the request took part in; empty when in none."""

    arm: str
    """The arm of that experiment."""

    shadow_model: str
    """The model that the arm of a shadow experiment would have chosen; empty otherwise."""

    constitution_hash: str
    """The constitutional hash under which it was decided."""

    request_id: str
    """The id of the request that it was taken for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the answering model counts them; the sum of all that generated for it."""

    input_tokens: int
    """Tokens of the prompt, chat template included."""

    cached_input_tokens: int
    """The part of `input_tokens` that came from a prefix cache."""

    output_tokens: int
    """Tokens generated."""

    reasoning_tokens: int
    """The part of `output_tokens` that the model thought in and did not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where the time went, in seconds, measured at the server."""

    decision_s: float
    """Deciding, decoding of the request included."""

    time_to_first_token_s: float | None
    """From the request's arrival to the first token: of a stream, to what the server let go first; None when there was none."""

    total_s: float
    """From the request's arrival to the end of the answer."""

    hold_s: float
    """For how much of `time_to_first_token_s` the model had begun, and nothing was shown: the answer was judged, or reasoned about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at an answer."""

    model: str
    """The model that was tried."""

    deployment: str
    """The deployment that was tried."""

    outcome: AttemptOutcome
    """How it ended."""

    reason: str
    """Why it failed: an ErrorInfo reason; empty on success."""

    text_characters: int
    """Characters of the answer that had been sent when it ended: after `BROKE_OFF` the seam, from which the next try went on."""

    cost_usd: float
    """What it cost, in USD; estimated where the provider did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopLogprob:
    """One alternative of a generated token."""

    token: str
    """The token's text."""

    logprob: float
    """Natural logarithm of its probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A generated token and how likely it was."""

    token: str
    """The token's text; bytes that are no whole character are shown as U+FFFD."""

    logprob: float
    """Natural logarithm of its probability."""

    top: tuple[TopLogprob, ...]
    """The likeliest alternatives, likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer, whole."""

    text: str
    """The answer."""

    decision: Decision
    """Why this model was chosen first; `attempts` ends with the one that answered."""

    usage: Usage
    """Tokens read and generated."""

    cost_usd: float
    """What the answer cost, in USD."""

    timings: Timings
    """Where the time went."""

    finish_reason: FinishReason
    """Why the answer ended."""

    attempts: tuple[Attempt, ...]
    """Every try, in order; the last one answered."""

    logprobs: tuple[TokenLogprob, ...]
    """One entry a generated token, when `Sampling.top_logprobs` asked for them."""

    tool_calls: tuple[ToolCall, ...]
    """What the model called, in order; then it waits for their results."""

    confidence: float | None
    """How sure the model seems of the answer, 0 to 1; None while nothing measures it."""

    cached: bool
    """Whether the answer was kept from an earlier request, and cost nothing."""

    constitution_hash: str
    """The constitutional hash under which it was answered."""

    request_id: str
    """The request's id."""
