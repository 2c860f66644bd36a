"""What is around a training: a compiler, the way to the network, and the terminal."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

from visionkit.doctor.findings import Topic

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def compiler(topic: Topic) -> None:
    """What torch's compiler would use for `--compile`, which is an option."""
    named = os.environ.get("CXX")
    candidates = [named] if named else ["g++", "clang++", "c++", "cl"]
    found = next((path for name in candidates if (path := shutil.which(name))), None)
    headers = (Path(sysconfig.get_path("include")) / "Python.h").is_file()
    lacking = [
        what for what, there in (("a C++ compiler", found), ("Python's headers", headers)) if not there
    ]
    told = f"cannot work: {' and '.join(lacking)} missing" if lacking else f"has {found} and Python's headers"
    topic.add("--compile", told, not lacking)
    if named and not found:
        topic.wrong(f"$CXX names {named}, which is not there", "unset it, or name a compiler that is there")


def network(topic: Topic) -> None:
    """Proxies and certificates that downloads go by; nothing is tried."""
    for name in PROXIES:
        for each in (name, name.upper()):
            if value := os.environ.get(each):
                topic.add(each, masked(value))
    for name in CERTIFICATES:
        if value := os.environ.get(name):
            topic.add(name, value)
            if not Path(value).exists():
                topic.wrong(f"${name} names {value}, which is not there", "unset it, or name another")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            topic.add(name, os.environ[name])
    if not topic.facts:
        topic.add("proxies", "none", "")


def terminal(topic: Topic) -> None:
    """The encoding of file names and output, and the terminal."""
    names, output = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "unknown"
    topic.add("file names", names)
    topic.add("output", output)
    topic.add(
        "locale", f"{'.'.join(filter(None, locale.getlocale())) or 'C'}, {locale.getpreferredencoding(False)}"
    )
    terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size()
    told = (
        f"{os.environ.get('TERM', 'unknown')}, {size.columns} columns"
        if terminal
        else "none: a file or a pipe"
    )
    topic.add("terminal", told)
    for what, encoding in (("file names", names), ("output", output)):
        if encoding.lower().replace("-", "") not in ("utf8", "unknown"):
            topic.wrong(
                f"{what} are in {encoding}, which lacks most of the world's letters"
                if what == "file names"
                else f"the output is in {encoding}, which lacks most of the world's letters",
                "set PYTHONUTF8=1" if platform.system() == "Windows" else "set LANG=C.UTF-8, or PYTHONUTF8=1",
            )


def masked(address: str) -> str:
    """A proxy's address, or a list of hosts, without user and password, and without what stands behind the
    host: a token can be there, too.
    """
    scheme, found, rest = address.rpartition("://") if "://" in address else ("", "", address)
    _, at, host = rest.rpartition("@")
    for end in "/?#":
        host = host.partition(end)[0]
    scheme = scheme if "@" not in scheme and ":" not in scheme else "…"
    return f"{scheme}{found}{'***@' if at else ''}{host}"
