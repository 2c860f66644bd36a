"""Loading a model without torch's compiler, which takes nearly as long to import as torch itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
_MARK = "__dynamo_disable"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within it, torchvision is imported and networks are built without the compiler; nothing may compile.

    torchvision's detectors import one function of it, and torch itself asks it not to compile what tells the
    shapes of a network without weights. Stand-ins answer meanwhile; where they are asked for anything else,
    they hand it on to the real modules. Afterwards all is as before.
    """
    kinds: tuple[_StandIn, ...] = (_Compiler(COMPILER), _Utilities(f"{COMPILER}.utils"))
    stand_ins = kinds if COMPILER not in sys.modules else ()
    sys.modules.update({each.__name__: each for each in stand_ins})
    try:
        yield
    finally:
        _leave(stand_ins)


class _StandIn(ModuleType):
    """Hands on what it does not know."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Compiler(_StandIn):
    """Takes part in torch's "do not compile this function"."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.marked: list[Callable[..., Any]] = []

    def disable(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        self.marked.append(fn)
        return fn


class _Utilities(_StandIn):
    """Has the function that torchvision imports by name."""

    @staticmethod
    def is_compile_supported(device_type: str) -> Any:
        return _real(f"{COMPILER}.utils").is_compile_supported(device_type)


def _real(name: str) -> Any:
    _leave([each for each in list(sys.modules.values()) if isinstance(each, _StandIn)])
    return import_module(name)


def _leave(stand_ins: Sequence[_StandIn]) -> None:
    for module in stand_ins:
        if sys.modules.get(module.__name__) is module:
            del sys.modules[module.__name__]
        if isinstance(module, _Compiler):
            for function in module.marked:
                vars(function).pop(_MARK, None)  # so that torch asks the real one, should it come
            module.marked.clear()
