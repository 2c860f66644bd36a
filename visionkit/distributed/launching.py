"""Starts the processes of one host, as torchrun does."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence

import torch

from visionkit.devices import usable_cores
from visionkit.errors import UsageError, VisionkitError

_SECONDS_TO_SAVE = 600
"""That processes may take to end their batch and save, once asked to stop; torchrun's own limit is 30."""

_LAUNCHER = "VISIONKIT_LAUNCHER"
"""The variable that holds the number of the process that started this one."""
_PR_SET_PDEATHSIG = 1


def check_processes(count: int, device: str) -> None:
    """Refuse more processes than there are GPUs for.

    Raises:
        UsageError: there are too few GPUs, or `device` names a single one.
    """
    if device == "cpu" or count == 1:
        return
    if ":" in device or device == "mps":
        raise UsageError(f"--gpus {count} --device {device}: that is one device; give --device cuda or cpu.")
    found = torch.cuda.device_count()
    if found < count:
        raise UsageError(
            f"--gpus {count}: {found or 'no'} GPU{'' if found == 1 else 's'} found here. Give a smaller "
            "number, or --device cpu to train by as many processes on the CPU."
        )


def launch(count: int, words: Sequence[str]) -> int:
    """Run `visionkit` with `words` in `count` processes that train together; returns the exit code.

    They are started by torchrun's own agent, which ends the others when one has failed.

    Raises:
        VisionkitError: a process was ended from outside.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # it tells of failures in pages
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(max(1, usable_cores() // count))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_SECONDS_TO_SAVE))
    os.environ[_LAUNCHER] = str(os.getpid())
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=f"visionkit-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=0.2,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "visionkit", *words)
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            raise VisionkitError(
                f"process {rank + 1} of {count} was ended by {name}, and the others were stopped. Where "
                "the run has a checkpoint, visionkit resume goes on, with any number of processes."
            ) from None
        return failure.exitcode
    return 0


def end_with_launcher() -> None:
    """In a process that torchrun or `launch` has started: take it for SIGTERM when that one is gone.

    One that is killed cannot pass it on, and the others would train on, which nobody could stop at once. Only
    Linux tells.
    """
    if sys.platform != "linux" or "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.environ.get(_LAUNCHER, str(os.getppid())) != str(os.getppid()):  # it was gone already
        signal.raise_signal(signal.SIGTERM)
