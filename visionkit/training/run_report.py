"""The report at a run's end, which the run does without where it cannot be written."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from visionkit.training.hardware import resolve_workers

if TYPE_CHECKING:
    import torch

    from visionkit.data.dataset import Dataset
    from visionkit.runs import Run
    from visionkit.training.progress import Reporter


def report_run(run: Run, dataset: Dataset, device: torch.device, reporter: Reporter) -> None:
    """Write report.html of a run that is done; where that fails, say so: the run is what counts.

    Args:
        run: in whose folder it is written.
        dataset: that was trained on.
        device: that was trained on, which decides how many threads read images.
        reporter: told where it cannot be written.
    """
    if not dataset.settings.html or dataset.store is None:
        return
    from visionkit.report.page import write_report

    try:
        threads = resolve_workers(dataset.settings.workers, device)
        write_report(run, dataset.store, dataset=dataset, threads=threads)
    except Exception as error:
        again = f"visionkit report {shlex.quote(str(run.path))}"
        reporter.note(f"report     not written: {str(error) or type(error).__name__} {again} writes it.")
