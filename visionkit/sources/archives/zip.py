"""Zip archives."""

from __future__ import annotations

import struct
import zipfile
from typing import IO

from visionkit.sources.archives.job import Damaged, Job
from visionkit.sources.archives.members import encrypted, refuse_special, shown

_END = b"PK\5\6"
_END_BYTES = 22
_HEADER = struct.Struct("<4s2xH6xL")  # signature, flags and checksum before a member's data
_LATER, _UTF8 = 0x8, 0x800
"""Flags: the checksum follows the data; the name is UTF-8."""


def unpack_zip(job: Job) -> None:
    """Unpack a zip archive, after looking at all that its directory lists."""
    with job.archive.open("rb") as file, zipfile.ZipFile(file) as members:
        _check_directory(file, members)
        files = []
        for info in members.infolist():
            # zipfile cuts a name off at a null byte, which is to be refused.
            name = info.orig_filename if "\0" in info.orig_filename else info.filename
            if info.flag_bits & 1:
                raise encrypted(f"its member {shown(name)}")
            refuse_special(name, info.external_attr >> 16)
            _check_header(file, info)
            member = job.guard.admit(name, "folder" if info.is_dir() else "file")
            job.guard.declared.spend(info.file_size, name)
            if info.is_dir():
                job.make_folder(member)
            else:
                files.append((info, member))
        job.needs(job.guard.declared.spent)
        with job.track(job.guard.declared.spent) as advance:
            for info, member in files:
                with members.open(info) as content:
                    job.copy(content, info.file_size, member, advance)


def _check_directory(file: IO[bytes], members: zipfile.ZipFile) -> None:
    """Refuse what zipfile reads without noticing that members are missing."""
    infos = members.infolist()
    if min((info.header_offset for info in infos), default=0):
        # Cut off, a zip that holds a zip ends as if the inner one were all that there is.
        raise Damaged("it does not begin with its first member")
    file.seek(-_END_BYTES - len(members.comment), 2)
    end = file.read(_END_BYTES)
    if not end.startswith(_END):
        raise Damaged("there is more behind its end")
    count = int.from_bytes(end[10:12], "little")
    if count not in (len(infos) & 0xFFFF, 0xFFFF):  # 16 bits, or all of them set where more are needed
        raise Damaged(f"of its {count:,} members {len(infos):,} can be found")


def _check_header(file: IO[bytes], info: zipfile.ZipInfo) -> None:
    """Refuse a member of which the directory says something else than the header before its data."""
    file.seek(info.header_offset)
    block = file.read(_HEADER.size)
    if len(block) == _HEADER.size:  # zipfile says what is wrong where it is not
        _, flags, checksum = _HEADER.unpack(block)
        same_name = info.filename.isascii() or flags & _UTF8 == info.flag_bits & _UTF8
        if not same_name or not (flags & _LATER or checksum == info.CRC):
            raise Damaged(f"what it says of its member {shown(info.filename)} is contradictory")
