"""What the system refuses, such as room on a disk, in one message that names the file and says what to do."""

from __future__ import annotations

import errno

from visionkit.errors import VisionkitError

ELSEWHERE = "choose another folder (--out, or [paths] in settings.ini)"
_REMEDIES = {
    errno.ENOSPC: f"Make room on its disk, or {ELSEWHERE}.",
    errno.EDQUOT: f"Delete files of yours there, or {ELSEWHERE}.",
    errno.EFBIG: f"No larger files are allowed here (see ulimit -f): raise that limit, or {ELSEWHERE}.",
    errno.EROFS: f"Nothing can be written to its disk: {ELSEWHERE}.",
    errno.EACCES: f"Change who may use it, or {ELSEWHERE}.",
    errno.EPERM: f"Change who may use it, or {ELSEWHERE}.",
    errno.EIO: f"Its disk, or the connection to it, is faulty (see the system's log): {ELSEWHERE}.",
    errno.ENAMETOOLONG: "Take shorter names.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or take fewer --workers.",
    errno.ENFILE: "The whole system has too many files open: end other programs.",
}
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


def cannot_write(what: object, error: OSError) -> VisionkitError:
    """The error that `what`, a file or folder, cannot be written."""
    return VisionkitError(f"{what}: cannot be written ({_reason(error)}).{_remedy(error)}")


def disk_fault(error: BaseException) -> OSError | None:
    """The fault of the disk, or the lack of file handles, that `error` is or comes from; else None."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        if isinstance(each, OSError) and each.errno in _OF_THE_DISK:
            return each
        seen.add(id(each))
        each = each.__cause__ or each.__context__
    return None


def system_fault(error: BaseException) -> VisionkitError | None:
    """What `error` says where it is the system's refusal: an error with a number, or one of a library that
    met a fault of the disk while it wrote. None where it is something else.
    """
    if isinstance(error, OSError) and error.errno is not None:
        named = f"{error.filename}: " if error.filename not in (None, "") else ""
        return VisionkitError(f"{named}{_reason(error)}.{_remedy(error)}")
    if (fault := disk_fault(error)) is not None:
        return system_fault(fault)
    if "Too many open files" in str(error):  # torch tells it in words when loader processes meet it
        return VisionkitError(f"Too many open files. {_REMEDIES[errno.EMFILE]}")
    return None


def _reason(error: OSError) -> str:
    return str(error.strerror or error)


def _remedy(error: OSError) -> str:
    remedy = _REMEDIES.get(error.errno or 0)
    return f" {remedy}" if remedy else ""
