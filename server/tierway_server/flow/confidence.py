"""How sure a model seems of its answer: what its tokens' log-probabilities say, and where there are none, what its words give away.

The figure is the lowest mean log-probability of 4 tokens in a row, among the first 32: where the model hesitated most. Of the figures that
can be followed token by token it tells right from wrong best (docs/escalation.md has the table and the literature, `training/answers.py`
the way there). A mean over the whole answer drowns one hesitation in what follows from it, and sums and lowest windows without an end
go by the length of the answer ("length bias"). Entropies need alternatives, which few providers give.

What the figure adds to the odds that an answer is right was fitted on answers of the embedded model; the odds before it are the
configuration's `prior`, for other models are right more often.
"""

from __future__ import annotations

import re
from collections import deque
from enum import StrEnum
from math import exp, log
from typing import NamedTuple

from tierway_core import Complexity
from tierway_server.backends.base import Chunk

WINDOW_TOKENS = 4
JUDGED_TOKENS = 32
"""Tokens whose log-probabilities count; what comes later does not."""

_EVIDENCE = 1.50
_EVIDENCE_PER_NAT = 1.51
"""What the figure adds to the logarithm of the odds that the answer is right: nothing at about -1, as much as this at 0."""

UNCERTAIN = 0.3
"""Confidence of an answer that says itself that it is none. A judgement, not a measurement, as is the next."""
SHORT = 0.5
"""Confidence of a very short answer to a complex query, where no log-probabilities say otherwise."""

_SHORT_CHARACTERS = 50
_READ_CHARACTERS = 240
"""Whoever does not know says so at the beginning."""

# What models say instead of an answer, in the languages that they are asked in most. Lower case, typographic apostrophes made plain.
_PHRASES = (
    r"\bi(?: do not|'m not| am not| don't) (?:really |quite |entirely |actually )?(?:know|sure|certain|able to)\b",
    r"\bi have no (?:idea|information|knowledge)\b",
    r"\bi (?:do not|don't) have (?:enough|access|any information|information|the ability)",
    r"\bi(?: can't|'m afraid i can't| cannot| can not) (?:answer|help|assist|provide|determine|say)\b",
    r"\bas an ai\b",
    r"\bi(?:'m| am) (?:just |only )?an? (?:ai|language model)\b",
    r"\b(?:it is|it's) (?:unclear|impossible to (?:say|tell|know))\b",
    r"\b(?:ich weiß (?:es |das )?(?:leider )?nicht|ich bin (?:mir )?nicht sicher|als ki\b|das kann ich nicht beantworten)",
    r"\b(?:je ne sais pas|je ne suis pas (?:sûre?|certaine?)|en tant qu'ia\b|je ne peux pas répondre)",
    r"\b(?:no lo sé|no sé la respuesta|no estoy segur[oa]|como (?:una )?ia\b|no puedo responder)",
    r"\b(?:(?:eu )?não sei\b|não tenho certeza|como (?:uma )?ia\b|não posso responder)",
    r"\b(?:non lo so\b|non sono sicur[oa]|come ia\b|non posso rispondere)",
    r"\b(?:я не знаю|не уверен|как ии\b|не могу ответить)",
    r"我不知道|我不确定|我不太确定|作为(?:一个|一名)?(?:ai|人工智能)|我无法回答|抱歉.我无法",
    r"わかりません|分かりません|確信がありません|aiとして|お答えできません",
    r"모르겠습니다|확실하지 않습니다|ai로서|답변할 수 없습니다",
)
_MARKERS = re.compile("|".join(_PHRASES))


class Sign(StrEnum):
    """By what an answer was judged."""

    LOGPROBS = "logprobs"
    """The log-probabilities of its tokens."""
    UNCERTAIN = "uncertain"
    """It says that it does not know, or will not say."""
    SHORT = "short"
    """It is very short for so complex a query."""
    EMPTY = "empty"
    """It says nothing."""


class Verdict(NamedTuple):
    """How sure an answer seems."""

    confidence: float
    """0 to 1."""
    sign: Sign


class Impression:
    """What an answer has given away so far. Keeps the beginning of its text and a few numbers."""

    __slots__ = ("_characters", "_head", "_logprobs", "_lowest", "_prior", "_window", "calls_tools", "tokens")

    def __init__(self, prior: float) -> None:
        """Begin; `prior` is the share of answers that are right, 0 to 1 and neither."""
        self.tokens = 0
        """Tokens that came."""
        self.calls_tools = False
        """Whether it calls functions."""
        self._prior = prior
        self._head = ""
        self._characters = 0
        self._window: deque[float] = deque(maxlen=WINDOW_TOKENS)
        self._lowest = 0.0
        self._logprobs = 0

    @property
    def has_begun(self) -> bool:
        """Whether anything came. Text can come before its tokens are counted."""
        return self.tokens > 0 or self._characters > 0

    def came(self, chunk: Chunk) -> None:
        """Take in more of the answer."""
        self.tokens += chunk.token_count
        self.calls_tools = self.calls_tools or bool(chunk.tool_calls)
        self._characters += len(chunk.text)
        if len(self._head) < _READ_CHARACTERS:
            self._head += chunk.text[: _READ_CHARACTERS - len(self._head)]
        for token in chunk.logprobs[: JUDGED_TOKENS - self._logprobs]:
            self._logprobs += 1
            self._window.append(token.logprob)
            mean = sum(self._window) / len(self._window)
            # A window that is not full yet counts only while there is none that is.
            self._lowest = mean if self._logprobs <= WINDOW_TOKENS else min(self._lowest, mean)

    def verdict(self, base: Complexity, *, is_whole: bool, is_free: bool) -> Verdict | None:
        """How sure the answer seems; None while nothing tells.

        Words count beside log-probabilities: a model can be very sure that it does not know.

        Args:
            base: how complex the query is.
            is_whole: whether the answer has ended.
            is_free: whether it is free text; one of a stated form may be as short as it likes.

        """
        if self.calls_tools:
            return None
        if is_whole and self._characters == len(self._head) and not self._head.strip():
            return Verdict(0.0, Sign.EMPTY)
        if is_free and _MARKERS.search(self._head.lower().replace("\u2019", "'")):
            return Verdict(UNCERTAIN, Sign.UNCERTAIN)
        if self._logprobs:
            return Verdict(confidence(self._lowest, self._prior), Sign.LOGPROBS)
        if is_whole and is_free and base is Complexity.COMPLEX and self._characters < _SHORT_CHARACTERS:
            return Verdict(SHORT, Sign.SHORT)
        return None


def confidence(lowest_logprob: float, prior: float) -> float:
    """The probability, 0 to 1, that an answer is right whose lowest window has this mean log-probability; `prior` before it was seen."""
    odds = log(prior / (1.0 - prior)) + _EVIDENCE + _EVIDENCE_PER_NAT * max(lowest_logprob, -100.0)
    return 1.0 / (1.0 + exp(-odds))
