"""`python -m tierway_bench NAME ...` runs one benchmark (`make bench ARGS="NAME ..."`); without a name it lists them."""

from __future__ import annotations

import runpy
import sys

BENCHMARKS = {
    "decide": "what a decision costs inside the core",
    "state": "what the shared state costs: counts, outcomes, limits, budgets, alone and contended",
    "simulate": "what simulating a million requests costs, and how fast traffic leaves what fails",
    "shared_rounds": "what keeping in step through Redis costs, and how stale it leaves what is heard",
    "balance": "how evenly strategies share an uneven load, on a virtual clock",
    "route_overhead": "what Route costs over gRPC, against a bare grpc.aio echo",
    "route_batch": "how many decisions a second RouteBatch takes",
    "engine_overhead": "what Stream adds to the engine, against the same engine driven directly",
    "engine_hop": "what the way to an engine in another process costs, against gRPC and against none",
    "added_latency": "what Tierway adds to a remote answer, beside an SDK and other gateways",
    "takeover": "streams that are cut: how soon they go on, and whether a character is lost or doubled",
    "fallback_drill": "how many answers arrive with one provider down and one flapping",
    "soak": "an hour's traffic, compressed: whether memory, connections or slots grow",
    "step_length": "how long requests wait for the step of one that was given up (needs a running server)",
    "cancel_storm": "whether streams left at random moments leak anything (needs a running server)",
    "fairness": "whether one tenant's flood, or four times what can be answered, costs the others their latency",
    "engine_kill": "how the server survives the death of its engine (needs a running server)",
    "worker_kill": "how a server of several workers survives the death of one, and of its engines' host (needs a running server)",
}


def main() -> None:
    """Run the benchmark that was named."""
    match sys.argv[1:]:
        case [name, *arguments] if name in BENCHMARKS:
            module = f"tierway_bench.{name}"
            sys.argv = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case []:
            print("\n".join(f"{name:16} {purpose}" for name, purpose in BENCHMARKS.items()))
        case [name, *_]:
            sys.exit(f"no benchmark is called {name}; there are {', '.join(BENCHMARKS)}")


if __name__ == "__main__":
    main()
