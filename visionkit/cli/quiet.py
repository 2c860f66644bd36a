"""Keeping the libraries' warnings away from the user's terminal."""

from __future__ import annotations

import logging
import os
import warnings


def silence_libraries() -> None:
    """Ignore warnings of Python libraries and all but errors of their loggers, in worker processes too."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger().setLevel(logging.ERROR)
    logging.captureWarnings(False)
