"""What Tierway adds to the engine: tokens/s and time to the first token through `Stream`, against the same engine driven directly.

`python -m tierway_bench.engine_overhead --model tiny` (or `embedded`, or a folder). All engines stay up; blocks take turns, and the idle
ones use no processor to speak of (shown). `--variant coalesce_window_s=0.01,stream_interval_tokens=4`, repeatable, puts further servers
beside the first, each with its own engine. The raw engine has the first variant's settings, and vLLM's defaults for its output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tierway_bench import tiny_model
from tierway_bench.processes import ProcessFailedError, call, cpu_s, peer, tierway
from tierway_bench.report import Machine, Spread, ratios, table, write_json
from tierway_bench.variants import Variant
from tierway_bench.vllm_grpc_streams import environment, vllm_grpc_server

RAW = "raw engine"
_START_S = 240.0
# Nothing after the first token: whoever is made to wait for a second one starts the next request from colder processes.
_FIRST_TOKEN_TOKENS = 1


@dataclass(frozen=True, slots=True)
class Arm:
    """One engine that is measured."""

    name: str
    where: tuple[str, str]
    """What tells the load generator where it is."""
    pid: int
    environment: dict[str, str] = field(default_factory=dict)
    """What the load generator needs for it."""


def model_folder(model: str, folder: Path) -> str:
    """The folder of `tiny`, `embedded`, or a folder that is one already."""
    if model == "tiny":
        return str(tiny_model.make(folder / "tiny"))
    if model == "embedded":
        command = [sys.executable, "-m", "tierway_server.backends.embedded_model"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return str(Path(model).resolve())


def measure(
    arms: Sequence[Arm], streams: int, max_tokens: int, given: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Rounds of blocks, one block for each arm in every round."""
    results: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
    for number in range(given.rounds):
        for arm in arms if number % 2 else reversed(arms):
            command = [
                "-m",
                "tierway_bench.stream_load",
                *arm.where,
                f"--streams={streams}",
                f"--max-tokens={max_tokens}",
            ]
            command += [f"--warm-up={given.warm_up}", f"--seconds={given.seconds}"]
            before_s = cpu_s(arm.pid, is_whole=False)
            block = call(command, within_s=given.seconds + given.warm_up + 90, environment=arm.environment)
            block["front_end_us"] = (cpu_s(arm.pid, is_whole=False) - before_s) / block["tokens"] * 1e6
            results[arm.name].append(block)
    return results


def report_rates(arms: Sequence[Arm], streams: int, given: argparse.Namespace) -> list[list[str]]:
    """Tokens per second, as rows."""
    results = measure(arms, streams, given.max_tokens, given)
    rates = {name: [block["tokens_per_s"] for block in blocks] for name, blocks in results.items()}
    return [
        [
            f"{streams} x {name}",
            Spread.of(rates[name]).text(0),
            ratios(rates[name], rates[RAW]).text(3),
            f"{Spread.of([block['messages_per_token'] for block in blocks]).median:.2f}",
            f"{Spread.of([block['tokens_per_answer'] for block in blocks]).median:.0f}",
            Spread.of([block["front_end_us"] for block in blocks]).text(0),
        ]
        for name, blocks in results.items()
    ]


def report_first_token(arms: Sequence[Arm], given: argparse.Namespace) -> list[list[str]]:
    """Time to the first token with one stream at a time, as rows."""
    results = measure(arms, 1, _FIRST_TOKEN_TOKENS, given)
    first_ms = {name: [block["first_token_p50_ms"] for block in blocks] for name, blocks in results.items()}
    return [
        [
            name,
            Spread.of(times).text(2),
            Spread.of([time_ - raw for time_, raw in zip(times, first_ms[RAW], strict=True)]).text(2),
            Spread.of([block["first_token_p99_ms"] for block in results[name]]).text(2),
        ]
        for name, times in first_ms.items()
    ]


def idle_rows(arms: Sequence[Arm], seconds: float = 3.0) -> list[list[str]]:
    """Which share of one core each arm uses while nothing is asked of it."""
    time.sleep(seconds)  # what a start leaves behind is not idleness
    before = [cpu_s(arm.pid) for arm in arms]
    time.sleep(seconds)
    return [[arm.name, f"{(cpu_s(arm.pid) - start) / seconds:.1%}"] for arm, start in zip(arms, before, strict=True)]


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(
        description="What Tierway adds to the engine, against the same engine driven directly."
    )
    parser.add_argument(
        "--model", default="tiny", help="tiny (random weights; default), embedded (SmolLM2), or a folder"
    )
    parser.add_argument("--variant", action="append", metavar="KEY=VALUE,...", help="engine settings; repeatable")
    parser.add_argument("--vllm-grpc", action="store_true", help="vLLM's own gRPC server beside them (`make peers`)")
    parser.add_argument("--streams", default="1,8,32,64", help="how many at a time (default 1,8,32,64)")
    parser.add_argument("--max-tokens", type=int, default=64, help="the most tokens of a stream (default 64)")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each kind (default 5)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before each block (default 1)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a block (default 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables here, too")
    given = parser.parse_args()
    variants = [Variant.parse(text) for text in given.variant or [""]]
    machine = Machine.here()
    print(machine.text(), flush=True)
    tables: dict[str, object] = {}

    def show(title: str, header: list[str], rows: list[list[str]]) -> None:
        tables[title] = [dict(zip(header, row, strict=True)) for row in rows]
        print(f"\n{title}\n{table(header, rows)}", flush=True)

    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            arms = _started(stack, folder, model_folder(given.model, folder), variants, has_vllm_grpc=given.vllm_grpc)
            show("Idle", ["", "of one core"], idle_rows(arms))
            header = ["", "ms (range)", "added, ms", "P99, ms"]
            show("First token, 1 stream, median of a block", header, report_first_token(arms, given))
            header = [
                "streams",
                "tokens/s (range)",
                "of raw (range)",
                "messages/token",
                "tokens/answer",
                "front end, us/token",
            ]
            for streams in map(int, given.streams.split(",")):
                show(f"{streams} streams", header, report_rates(arms, streams, given))
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, {"model": given.model, "tables": tables})
    return 0


def _started(
    stack: ExitStack, folder: Path, model: str, variants: Sequence[Variant], *, has_vllm_grpc: bool
) -> list[Arm]:
    first = variants[0]
    command = ["-m", "tierway_bench.raw_engine", model, json.dumps(first.vllm_arguments())]
    command += ["--environment", json.dumps(first.vllm_environment())]
    pid, said = stack.enter_context(peer(command, folder / "raw.log", within_s=_START_S))
    arms = [Arm(RAW, ("--raw", said["address"]), pid)]
    if has_vllm_grpc:
        # With its metrics, as it is served by default and as ours is.
        arguments = {key: value for key, value in first.vllm_arguments().items() if key != "disable_log_stats"}
        vllm_grpc = vllm_grpc_server(
            model, arguments, first.vllm_environment(), folder / "vllm_grpc.log", within_s=_START_S
        )
        pid, target = stack.enter_context(vllm_grpc)
        arms.append(Arm("vLLM's gRPC", ("--vllm-grpc", target), pid, environment()))
    for number, variant in enumerate(variants):
        config = folder / f"{number}.yaml"
        config.write_text(variant.tierway_config(model))
        server = stack.enter_context(tierway(config, folder / f"{number}.log", within_s=_START_S))
        arms.append(Arm(variant.name, ("--target", server.target), server.pid))
    return arms


if __name__ == "__main__":
    sys.exit(main())
