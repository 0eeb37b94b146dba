"""Translation between our terms and vLLM's: sampling parameters in, finish reasons and log-probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierway_server.backends.base import FinishReason, Generation, TokenLogprob

if TYPE_CHECKING:
    from vllm.outputs import CompletionOutput
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams


def sampling_params(generation: Generation, max_tokens: int, default_temperature: float) -> SamplingParams:
    """The vLLM parameters of a generation. Only what was asked for is passed: vLLM's other defaults are the contract's.

    Raises:
        ValueError: (of vLLM) a value or schema that it cannot honour.

    """
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    sampling = generation.sampling
    stated: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logprobs": sampling.top_logprobs,
        "stop": list(sampling.stop) or None,
    }
    stated = {key: value for key, value in stated.items() if value is not None}
    return SamplingParams(
        **{"temperature": default_temperature, **stated},
        max_tokens=max_tokens,
        structured_outputs=_form(generation),
        output_kind=RequestOutputKind.DELTA,
        skip_clone=True,  # made for this one request
    )


def _form(generation: Generation) -> StructuredOutputsParams | None:
    """What holds the answer to its form; None: nothing.

    An answer that another engine began is free: a grammar would have it begin again. Whether the whole has its form is the caller's to see.
    """
    from vllm.sampling_params import StructuredOutputsParams

    schema = generation.json_schema
    if schema is None or generation.answered:
        return None
    return StructuredOutputsParams(json=dict(schema)) if schema else StructuredOutputsParams(json_object=True)


def finish_reason(reason: str | None) -> FinishReason:
    """Our finish reason for vLLM's; whatever is neither a stop nor a filter has cut the answer."""
    return FinishReason.STOP if reason == "stop" else FinishReason.LENGTH


def chunk_logprobs(completion: CompletionOutput, alternatives: int) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of a completion's new tokens, each with its likeliest alternatives."""
    entries = []
    for token_id, candidates in zip(completion.token_ids, completion.logprobs or (), strict=True):
        # vLLM adds the chosen token to the alternatives when it is not one of them: ranked last, so cut off here.
        ranked = sorted(candidates.values(), key=lambda candidate: candidate.rank or 0)[:alternatives]
        chosen = candidates[token_id]
        entries.append(
            TokenLogprob(_text(chosen), chosen.logprob, tuple((_text(other), other.logprob) for other in ranked))
        )
    return tuple(entries)


def _text(candidate: Any) -> str:
    return candidate.decoded_token or ""
