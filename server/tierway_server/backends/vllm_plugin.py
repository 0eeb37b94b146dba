"""What our engines' processes do that vLLM's would not. vLLM loads this as a plugin (entry point `vllm.general_plugins`) in every process.

It acts in processes that `vllm_engine.py` started, and nowhere else: a `vllm serve` out of the same environment is left alone.

Four holes of vLLM 0.32 are closed here, each measured (docs/adr/0006):

- Ctrl-C in a terminal goes to the whole process group, so that the engine would die before the server could drain.
- An engine outlives a server that was killed, and keeps its memory for ever.
- On CPU, a request with a seed kills the engine when its prompt is prefilled in more than one step: to take back the random number
  that the unfinished step drew, vLLM asks the generator for its offset, which torch's CPU generator does not have.
- On CPU, EngineCore and its worker wait for each other by spinning on `sched_yield`. Two tasks that do so leapfrog each other in Linux's
  EEVDF scheduler (seen on 6.18) and starve every other process of the core for seconds: the server's own, too. Ours yield for a
  millisecond at most, then sleep.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

ENVIRONMENT_KEY = "TIERWAY_ENGINE"
"""Set in the environment of the processes that are ours."""

# So long they yield to each other, as vLLM does: what is worth waiting for so closely comes sooner. Bounded, nobody starves.
_YIELD_S = 0.001

# A step that takes longer than this is looked for less often: a process that wakes every 50 us, as it does when it sleeps for no time at
# all, keeps interrupting the threads that it waits for (37 against 49 tokens/s with SmolLM2, docs/adr/0005).
_SHORT_STEP_S = 0.003
_LOOK_EVERY_S = 0.0002


def adopt() -> None:
    """Make the current process ours, if it is an engine's."""
    server = multiprocessing.parent_process()
    if server is None or os.environ.get(ENVIRONMENT_KEY) != "1":
        return
    os.setpgid(0, 0)
    threading.Thread(target=_die_with, args=(server,), name="die-with-parent", daemon=True).start()

    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        _make_seeds_safe()
        _wait_without_starving()


def _die_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _make_seeds_safe() -> None:
    import torch

    class Generator(torch.Generator):  # type: ignore[misc]  # torch's stubs call it final
        """torch's CPU generator with the two methods by which vLLM takes a draw back.

        Draws are taken back while a prompt is prefilled, before any was used: back means to the beginning. (A request that was
        preempted in the middle of its answer begins its random numbers anew when it resumes; without this it would end the engine.)
        """

        def get_offset(self) -> int:
            return 0

        def set_offset(self, offset: int) -> None:  # noqa: ARG002  (vLLM's one caller takes back all draws there were)
            self.manual_seed(self.initial_seed())

    torch.Generator = Generator


def _wait_without_starving() -> None:
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    wait_for_notice = SpinCondition.wait

    def wait(self: SpinCondition, timeout_ms: int | None = None) -> None:
        quiet_s = time.monotonic() - self.last_read
        if quiet_s > self.busy_loop_s:
            wait_for_notice(self, timeout_ms)
        elif quiet_s < _YIELD_S:
            os.sched_yield()
        else:
            time.sleep(0 if quiet_s < _SHORT_STEP_S else _LOOK_EVERY_S)

    SpinCondition.wait = wait
