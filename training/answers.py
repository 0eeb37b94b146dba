"""How sure of its answer a model is, by its tokens' probabilities: fits the map of `tierway_server.flow.confidence`.

`python training/answers.py`: the embedded model answers `questions.py` greedily, and a part of it with and without log-probabilities in
turn, to see what they cost. Of each answer, whole and cut to its first tokens, several figures are made; each is judged by AUC against
right and wrong, over all answers and within kinds of questions (a kind that is answered badly as a whole is told by any figure that knows
the kind). A logistic of the chosen figure is fitted on all and judged on kinds left out; without its own share of right answers it is
what ships. `--answers FILE` keeps the answers, and reads them if it is there.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from questions import Question, questions

from tierway_learn.metrics import auc
from tierway_server.backends.base import Generation, Message, Role, Sampling
from tierway_server.backends.engines import launch_vllm
from tierway_server.config import EngineConfig

Floats = npt.NDArray[np.float64]

MAX_TOKENS = 48
AT_ONCE = 16
LOOK_AHEADS = (8, 16, 32)
WINDOW = 4
CHOSEN, CHOSEN_TOKENS = "lowest window", 32
THRESHOLD, PRIOR = 0.7, 0.85
"""The defaults of the section `escalation`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one question."""

    kind: str
    is_right: bool
    logprobs: list[float]
    """Natural logarithms of its tokens' probabilities."""
    gaps: list[float]
    """By how much each is above the likeliest other token's."""


def _lowest_window(values: Floats) -> float:
    width = min(WINDOW, len(values))
    return float(np.convolve(values, np.full(width, 1 / width), "valid").min())


FIGURES: Mapping[str, Callable[[Answer, int], float]] = {
    "mean": lambda answer, tokens: float(np.mean(answer.logprobs[:tokens])),
    "lowest": lambda answer, tokens: min(answer.logprobs[:tokens]),
    "lowest window": lambda answer, tokens: _lowest_window(np.array(answer.logprobs[:tokens])),
    "20 % quantile": lambda answer, tokens: float(np.quantile(answer.logprobs[:tokens], 0.2)),
    "sum": lambda answer, tokens: sum(answer.logprobs[:tokens]),
    "mean gap": lambda answer, tokens: float(np.mean(answer.gaps[:tokens])),
    "first token": lambda answer, _: answer.logprobs[0],
    "length": lambda answer, tokens: -float(len(answer.logprobs[:tokens])),
}


async def collected(asked: Sequence[Question]) -> list[Answer]:
    """Ask the embedded model. Prints how fast it is with log-probabilities and without."""
    config = EngineConfig(
        model="embedded",
        dtype="bfloat16",
        context_tokens=1_024,
        max_num_seqs=AT_ONCE,
        max_num_batched_tokens=256,
        kv_cache_gib=0.5,
        threads_bind="all",
        enforce_eager=True,
    )
    engine = await launch_vllm("answers", config, os.environ)
    room = asyncio.Semaphore(AT_ONCE)

    async def answered(number: int, question: Question, top_logprobs: int | None) -> tuple[Answer, int]:
        generation = Generation(
            id=f"{top_logprobs}-{number}",
            messages=(Message(Role.USER, question.text),),
            sampling=Sampling(temperature=0.0, top_logprobs=top_logprobs),
            max_tokens=MAX_TOKENS,
        )
        texts: list[str] = []
        logprobs: list[float] = []
        gaps: list[float] = []
        tokens = 0
        async with room:
            async for chunk in engine.generate(generation):
                texts.append(chunk.text)
                tokens += chunk.token_count
                for token in chunk.logprobs:
                    logprobs.append(token.logprob)
                    gaps.append(token.logprob - max((other for _, other in token.top[1:]), default=token.logprob))
        return Answer(question.kind, question.is_right("".join(texts)), logprobs, gaps), tokens

    try:
        # The first round only warms up; then in turn, so that a noisy neighbour troubles all alike.
        speeds: dict[int | None, list[float]] = {None: [], 0: [], 2: []}
        for number, top in enumerate((None, None, 0, None, 0)):
            began_s = time.perf_counter()
            sample = asked[:: max(1, len(asked) // 96)]
            counts = await asyncio.gather(
                *(answered(place + 10_000 * (number + 1), each, top) for place, each in enumerate(sample))
            )
            if number:
                speeds[top].append(sum(tokens for _, tokens in counts) / (time.perf_counter() - began_s))
        for top in (None, 0):
            print(f"top_logprobs {top}: {', '.join(f'{speed:.0f}' for speed in speeds[top])} tokens/s")
        return [answer for answer, _ in await asyncio.gather(*(answered(n, each, 2) for n, each in enumerate(asked)))]
    finally:
        engine.shutdown()


def fitted(figures: Floats, right: Floats, rounds: int = 50) -> tuple[float, float]:
    """Offset and slope of the logistic with the likeliest outcome, by Newton's method, with a trace of shrinkage."""
    matrix = np.stack([np.ones_like(figures), figures], axis=1)
    weights = np.zeros(2)
    for _ in range(rounds):
        share = _logistic(matrix @ weights)
        slope = matrix.T @ (right - share) - 1e-3 * weights
        curve = (matrix * (share * (1 - share))[:, None]).T @ matrix + 1e-3 * np.eye(2)
        weights += np.linalg.solve(curve, slope)
    return float(weights[0]), float(weights[1])


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def calibration_error(confidence: Floats, right: Floats, bins: int = 5) -> float:
    """Mean distance of confidence from the share that is right, over bins of equally many answers."""
    parts = np.array_split(np.argsort(confidence), bins)
    return float(sum(len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts) / len(right))


def within_kinds(figures: Floats, right: Floats, kinds: Sequence[str]) -> float:
    """AUC over pairs of one kind only."""
    names, pairs, won = np.array(kinds), 0.0, 0.0
    for kind in sorted(set(kinds)):
        rows = names == kind
        number = float(right[rows].sum() * (1 - right[rows]).sum())
        if number:
            pairs, won = pairs + number, won + number * auc(figures[rows], right[rows] > 0)
    return won / pairs


def report(answers: Sequence[Answer]) -> None:
    """Print what each figure tells, and the fitted map."""
    right = np.array([float(answer.is_right) for answer in answers])
    kinds = [answer.kind for answer in answers]
    print(
        f"{len(answers)} answers, {right.mean():.1%} right, median {np.median([len(a.logprobs) for a in answers])} tokens"
    )
    for kind in sorted(set(kinds)):
        rows = [answer.is_right for answer in answers if answer.kind == kind]
        print(f"  {kind:10} {sum(rows):3} of {len(rows)}")
    whole = MAX_TOKENS
    print("| figure | " + " | ".join(f"first {n}" for n in LOOK_AHEADS) + " | whole | whole, within kinds |")
    for name, figure in FIGURES.items():
        cells = [auc(np.array([figure(answer, n) for answer in answers]), right > 0) for n in (*LOOK_AHEADS, whole)]
        cells.append(within_kinds(np.array([figure(answer, whole) for answer in answers]), right, kinds))
        print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    figures = np.array([FIGURES[CHOSEN](answer, CHOSEN_TOKENS) for answer in answers])
    offset, slope = fitted(figures, right)
    left_out = np.zeros_like(right)
    for kind in set(kinds):
        rows = np.array(kinds) == kind
        far, steep = fitted(figures[~rows], right[~rows])
        left_out[rows] = _logistic(far + steep * figures[rows])
    # What the figure adds to the logarithm of the odds, whatever those were: the offset without this model's own share of right answers.
    evidence = offset - _odds(right.mean())
    weak = _logistic(_odds(PRIOR) + evidence + slope * figures) < THRESHOLD
    print(f"{CHOSEN} of {WINDOW} in the first {CHOSEN_TOKENS}: odds {evidence:+.2f} {slope:+.2f} times the figure")
    print(
        f"kinds left out: AUC {auc(left_out, right > 0):.3f}, calibration error {calibration_error(left_out, right):.3f}"
    )
    print(
        f"under {THRESHOLD} at a prior of {PRIOR}: {weak.mean():.1%} of all, {right[weak].mean():.1%} of them right,"
        f" of the others {right[~weak].mean():.1%}"
    )


def _odds(share: float) -> float:
    """The logarithm of the odds."""
    return float(np.log(share / (1 - share)))


def main() -> None:
    """Ask, or read what was answered, and report."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--answers", type=Path, help="JSON file to keep the answers in, or to read them from")
    given = arguments.parse_args()
    if given.answers and given.answers.exists():
        answers = [Answer(**answer) for answer in json.loads(given.answers.read_text())]
    else:
        answers = asyncio.run(collected(questions()))
        if given.answers:
            given.answers.write_text(json.dumps([asdict(answer) for answer in answers]))
    report(answers)


if __name__ == "__main__":
    main()
