"""How busy the GPU is, as nvidia-smi sees it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

_EVERY_MS = 200


@contextmanager
def gpu_use(device: str) -> Iterator[dict[str, float]]:
    """While it lasts, the GPU is looked at five times a second.

    Yields:
        what has `gpu_percent` afterwards, the mean over all looks; it stays empty on a CPU.
    """
    told: dict[str, float] = {}
    if device == "cpu":
        yield told
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
    index = int(device.partition(":")[2] or 0)
    command = ["nvidia-smi", f"--id={visible.split(',')[index]}", f"--loop-ms={_EVERY_MS}"]
    command += ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    with tempfile.TemporaryFile("w+") as seen:
        looking = subprocess.Popen(command, stdout=seen)
        try:
            yield told
        finally:
            looking.terminate()
            looking.wait()
            seen.seek(0)
            looks = [float(line) for line in seen if line.strip().isdigit()]
            if looks:
                told["gpu_percent"] = round(mean(looks), 1)
