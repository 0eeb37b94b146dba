"""The section `engines`: the vLLM engines that run in this process."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from tierway_server.config.references import check_variables
from tierway_server.config.section import Score, Seconds, Section
from tierway_server.config.suggest import did_you_mean
from tierway_server.config.tool_parsers import tool_parser_names

EMBEDDED = "embedded"
"""The `model` of an engine that runs the packaged SmolLM2."""

_THREADS = re.compile(r"all|auto|nobind|[0-9][0-9,|-]*")


class RestartConfig(Section):
    """How an engine that died is started again: at once, then with a wait that doubles."""

    initial_backoff_s: Seconds = 1.0
    """First wait, in seconds."""

    max_backoff_s: Seconds = 60.0
    """Longest wait, in seconds; at least `initial_backoff_s`."""

    @field_validator("max_backoff_s")
    @classmethod
    def _covers_initial(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("initial_backoff_s", value)
        if value < least:
            raise ValueError(f"must be at least initial_backoff_s, which is {least:g}")
        return value


class EngineConfig(Section):
    """One vLLM engine."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
    """`embedded` for the packaged SmolLM2, or a folder with weights in Hugging Face's format, from the working directory unless it
    is absolute. `~` and `${NAME}` are expanded when the process starts; a folder that is not there makes the engine's deployments
    unavailable, and is no error."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of the weights and of the KV cache; `auto` takes that of the weights."""

    context_tokens: Annotated[int, Field(ge=16, le=16_777_216)]
    """Most tokens of prompt and answer together, at most what the model was trained for."""

    max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Most requests that run at once."""

    max_num_batched_tokens: Annotated[int, Field(ge=1, le=16_777_216)] = 2_048
    """Most tokens of one step: the longer a step, the longer an abort waits for its end. At least `max_num_seqs`."""

    queue_size: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    """Most requests that wait until they run, as the section `queue` says; one more is refused (`QUEUE_FULL`)."""

    kv_cache_gib: Annotated[float, Field(gt=0, le=65_536)] | None = None
    """KV cache in GiB on CPU. Default: vLLM's own choice."""

    enforce_eager: bool = False
    """Whether to leave out compilation: the start is faster, the tokens slower."""

    threads_bind: str | None = None
    """Cores of the engine on CPU, as VLLM_CPU_OMP_THREADS_BIND has them: `0-1`, `0,2`, `all`, `auto` or `nobind`. Default: vLLM's
    own choice."""

    default_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Randomness of answers to requests that state none, 0 (greedy) to 2."""

    stream_interval_tokens: Annotated[int, Field(ge=1, le=1_024)] = 1
    """Tokens that the engine puts into one output; the first and the last go out at once."""

    coalesce_window_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Longest wait, in seconds, for further tokens before a delta is sent; the first goes out at once; 0 sends each alone."""

    idle_timeout_s: Seconds = 60.0
    """Longest silence, in seconds, between two outputs of an answer, and before the first one; then the engine is taken to hang: the answer
    is aborted there, and goes on elsewhere where it can. Without any sign of life for as long, the engine is started again. Longer than the
    longest prompts of `max_num_seqs` requests take to be read."""

    tool_parser: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")] | None = None
    """How the model writes that it calls a function: a name of the installed vLLM's own parsers, such as `hermes`; its chat template must
    know tools. Default: it cannot call functions, and requests with tools go elsewhere."""

    tensor_parallel_size: Annotated[int, Field(ge=1, le=1_024)] = 1
    """GPUs that share the weights."""

    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the GPU's memory that the engine takes. Not used on CPU."""

    restart: RestartConfig = RestartConfig()
    """How an engine that died is started again."""

    start_timeout_s: Seconds = 300.0
    """Longest time, in seconds, from the start to readiness; after it the start has failed and is tried again."""

    availability: Score = 0.999
    """Expected share of the time that it answers while this process is up, 0 to 1: what `tierway config report` computes with."""

    @property
    def is_embedded(self) -> bool:
        """Whether it runs the packaged model rather than a folder of weights."""
        return self.model == EMBEDDED

    @property
    def places(self) -> int:
        """How many requests it is given at once: as many as it runs, and a few of those that wait, for it to go on with.

        Only what waits in our queue has a priority, so these are few. The engine needs one in its hand for each that ends within the two
        steps or so from its end to the arrival of the next one; answers take a hundred steps or more, so a thirty-second is ample.
        """
        return self.max_num_seqs + self._at_hand

    @property
    def waiting(self) -> int:
        """How many may wait in our queue: the others of `queue_size`."""
        return self.queue_size - self._at_hand

    @property
    def _at_hand(self) -> int:
        return min(self.queue_size, max(1, self.max_num_seqs // 32))

    @field_validator("model")
    @classmethod
    def _has_whole_variables(cls, value: str) -> str:
        return check_variables(value)

    @field_validator("max_num_batched_tokens")
    @classmethod
    def _covers_sequences(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("max_num_seqs", value)
        if value < least:
            raise ValueError(f"must be at least max_num_seqs, which is {least}")
        return value

    @field_validator("tool_parser")
    @classmethod
    def _is_vllms_own(cls, value: str | None) -> str | None:
        # Where vLLM is not installed nobody knows; its own complaint comes at the engine's start.
        if value is not None and (names := tool_parser_names()) and value not in names:
            raise ValueError(f"vLLM has no such tool parser{did_you_mean(value, names)}")
        return value

    @field_validator("threads_bind")
    @classmethod
    def _is_binding(cls, value: str | None) -> str | None:
        if value is not None and not _THREADS.fullmatch(value):
            raise ValueError('must be cores such as "0-1" or "0,2", or "all", "auto" or "nobind"')
        return value
