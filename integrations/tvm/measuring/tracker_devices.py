"""Times candidates on other devices, through TVM's tracker."""

from __future__ import annotations

from typing import Any

from tvm.s_tir import meta_schedule as ms
from tvm.support.popen_pool import PopenPoolExecutor

from costmodel.calibration.measurers.tvm_session import TvmTracker
from costmodel.errors import UsageError

__all__ = ["rpc_runner"]


def rpc_runner(
    host: str,
    port: int,
    key: str,
    *,
    runs: int = 3,
    run_secs: float = 0.05,
    time_limit_s: int = 30,
    wait_s: float = 30.0,
) -> Any:
    """TVM's ``RPCRunner`` for devices of a tracker, which gives up where TVM's own waits for ever.

    Each candidate takes a device of that key.  One whose device dies, hangs, or is not to be had is a result with a
    reason; the others go on with the devices that are left.

    Args:
        host: Machine that the tracker runs on.
        port: Its port, TVM's default is 9190.
        key: What the devices' servers registered under; one key for one kind of device.
        runs: How often a candidate is timed, by the wall clock of the device.
        run_secs: Seconds that one timed run should last at least; short candidates are called several times in it.
        time_limit_s: A candidate that takes longer in all counts as hung.
        wait_s: Seconds that a candidate waits for a free device.

    Raises:
        UsageError: A number is not positive.
        NoDeviceError: The tracker does not answer, or no device becomes free in time.
    """
    for name, value in {"runs": runs, "run_secs": run_secs, "time_limit_s": time_limit_s, "wait_s": wait_s}.items():
        if value <= 0:
            raise UsageError(f"expected {name} above 0, got {value}.")
    with TvmTracker(host, port, key, wait_s, time_limit_s).session():
        pass
    runner = ms.runner.RPCRunner(
        rpc_config=ms.runner.RPCConfig(host, port, key, session_timeout_sec=time_limit_s),
        evaluator_config=ms.runner.EvaluatorConfig(number=1, repeat=runs, min_repeat_ms=round(1e3 * run_secs)),
    )
    waits_for_ever, runner.pool = runner.pool, PopenPoolExecutor(max_workers=1, timeout=time_limit_s + wait_s)
    waits_for_ever.shutdown()
    return runner
