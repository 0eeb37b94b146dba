from typing import final

@final
class Request:
    def __init__(
        self,
        text: str,
        *,
        extra_input_tokens: int = 0,
        has_image: bool = False,
        needs_response_format: bool = False,
        needs_logprobs: bool = False,
        max_tokens: int = 0,
        agent: str = "",
        task_type: str = "",
        force_model: str = "",
        min_tier: int = 1,
        max_tier: int = 5,
        max_cost_picousd: int = -1,
        latency_budget_s: float = ...,
        min_compliance: float = 0.0,
        allow_fallback: bool = True,
        cost_quality: float | None = None,
        tenant: str = "",
        deadline_s: float = ...,
        strategy: str = "",
        regions: frozenset[str] = ...,
        prefix_key: int = 0,
        sticky_key: str = "",
        needs: int = 0,
    ) -> None: ...
    @property
    def text(self) -> str:
        """What the complexity is judged by: the text of the query, without instructions or earlier answers."""
    @property
    def extra_input_tokens(self) -> int:
        """Estimated tokens that are sent but not judged (instructions, earlier turns, images). Default: 0."""
    @property
    def has_image(self) -> bool:
        """Whether an image is sent; only models with vision may answer then."""
    @property
    def needs_response_format(self) -> bool:
        """Whether the answer must have a stated form."""
    @property
    def needs_logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
    @property
    def max_tokens(self) -> int:
        """The most tokens of output; 0: not stated, the table's expectation is taken for the estimate."""
    @property
    def agent(self) -> str:
        """The calling agent; empty: none."""
    @property
    def task_type(self) -> str:
        """The kind of work, a name of the table's task types; empty: none."""
    @property
    def force_model(self) -> str:
        """The model that must answer; empty: any."""
    @property
    def min_tier(self) -> int:
        """The lowest tier that may answer. Default: 1."""
    @property
    def max_tier(self) -> int:
        """The highest tier that may answer. Default: 5."""
    @property
    def max_cost_picousd(self) -> int:
        """The highest estimate that is accepted, in pico-USD; below 0: no ceiling."""
    @property
    def latency_budget_s(self) -> float:
        """The longest expected time to the first token that is accepted, in seconds. Default: infinite."""
    @property
    def min_compliance(self) -> float:
        """The lowest compliance score that may answer. Default: 0, which leaves the table's own minimum."""
    @property
    def allow_fallback(self) -> bool:
        """Whether others may answer when the chosen deployment fails."""
    @property
    def cost_quality(self) -> float | None:
        """The dial from cost (0) to quality (1); None: the table's own. Refused where no classifier decides."""
    @property
    def tenant(self) -> str:
        """Whose request it is; a name that the table does not know stands for the default tenant, if there is one."""
    @property
    def deadline_s(self) -> float:
        """The time that is left for the whole answer, in seconds. Default: infinite."""
    @property
    def strategy(self) -> str:
        """The strategy that is wished for, one of `STRATEGIES`; empty: the one that rules and table say."""
    @property
    def regions(self) -> frozenset[str]:
        """Regions whose deployments may answer; empty: any."""
    @property
    def prefix_key(self) -> int:
        """What stands for the part of the prompt that is not judged, 64 bits: equal keys, equal beginnings. 0: unknown.

        `extra_input_tokens` says how long that part is.
        """
    @property
    def sticky_key(self) -> str:
        """What experiments assign by, such as a user or a conversation: equal keys, equal arms. Empty: by chance."""
    @property
    def needs(self) -> int:
        """What it needs of whoever answers, flags of `Feature`. Default: 0."""
