"""The end of a training by several processes: the others wait for what the first one does alone."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from torch.distributed import TCPStore

from visionkit.distributed.world import World
from visionkit.errors import EndedElsewhere

_LOOK_EVERY = 0.2
_PATIENCE = timedelta(minutes=5)
"""That an answer about the first process may take; it may itself take as long as it likes."""
_INTERRUPTED = 130


@contextmanager
def first_waited_for(world: World) -> Iterator[None]:
    """All end when the first is done: torchrun on another host waits minutes at most for the rest.

    The processes may part meanwhile. Whoever ends otherwise than all do waits for nobody.

    Raises:
        EndedElsewhere: in the others, where the first has failed.
    """
    if world.size == 1:
        yield
        return
    key = "visionkit/" + world.told(lambda: secrets.token_hex(8))
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(
        *place,
        is_master=world.leads and not shared,
        wait_for_workers=False,
        timeout=_PATIENCE,
        multi_tenant=True,
    )
    if world.leads:
        code = 0
        try:
            yield
        except BaseException as error:
            code = getattr(error, "exit_code", _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
            raise
        finally:
            with suppress(RuntimeError):
                store.set(key, str(code))
        return
    try:
        yield
    except EndedElsewhere:
        _end_of_the_first(store, key, shared)
        raise
    if code := _end_of_the_first(store, key, shared):
        raise EndedElsewhere(code)


def _end_of_the_first(store: TCPStore, key: str, shared: bool) -> int:
    """Wait until the first process is done; returns the exit code that it ends with.

    Args:
        store: where it tells so.
        key: under which.
        shared: whether torchrun holds the store; otherwise the first process does, until it is done.
    """
    try:
        while not store.check([key]):
            time.sleep(_LOOK_EVERY)
        return int(store.get(key))
    except RuntimeError:
        return 1 if shared else 0
