"""The section `escalation`: when a weak answer is asked again one tier up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tierway_server.config.section import Score, Section


class EscalationConfig(Section):
    """When a weak answer is asked again one tier up, once a request at most. Never for requests with tools, a forced model or a pin."""

    enabled: bool = False
    """Whether answers are judged, and the weak ones asked again, unless the request forbids it. It delays the first character of streams by
    `look_ahead_tokens`, where a higher tier could answer."""

    threshold: Score = 0.7
    """Confidence below which an answer is weak, 0 to 1."""

    prior: Annotated[float, Field(ge=0.01, le=0.99)] = 0.85
    """Share of answers that are taken to be right before anything is seen of them, 0.01 to 0.99: what log-probabilities then move."""

    look_ahead_tokens: Annotated[int, Field(ge=1, le=512)] = 16
    """Tokens of a stream that are held back until it is decided whether it is weak."""

    max_share: Score = 0.05
    """At most this share of the requests to one process is asked again, 0 to 1."""

    alert_share: Score = 0.1
    """Above this share of weak ones among the latest 200 answers that a process has judged, it logs a warning and sets
    `tierway_weak_answers_alarm`, 0 to 1; 1: never."""
