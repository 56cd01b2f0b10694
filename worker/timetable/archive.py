"""Open an archive without trusting it: names, sizes and ratio first, then bytes.

Nothing is unpacked to disk. Members are inflated in pieces of bounded size and
checked against their declared size and CRC as they are read.
"""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isal import isal_zlib
from isal.igzip_lib import IsalError

from worker.errors import PermanentError
from worker.policy.timetable import TimetableLimits

_READ_BYTES = 1 << 18
_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
_SMALL_BYTES = 1 << 20
_TELLTALES = ("stop_times.txt", "trips.txt", "routes.txt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file of a feed. ``size`` is its unpacked size in bytes, as declared."""

    name: str
    size: int
    source: Path
    packed: zipfile.ZipInfo | None = None

    def chunks(self, chunk_bytes: int) -> Iterator[bytes]:
        """The unpacked bytes, in pieces of at most ``chunk_bytes``.

        Raises PermanentError when they are not what the archive declares.
        """
        if self.packed is None:
            with self.source.open("rb") as file:
                while chunk := file.read(chunk_bytes):
                    yield chunk
            return
        crc = total = 0
        for chunk in _inflate(self.source, self.packed, chunk_bytes):
            total += len(chunk)
            if total > self.size:
                raise PermanentError(
                    f"{self.name} unpacks to more than the {self.size} bytes declared"
                )
            crc = isal_zlib.crc32(chunk, crc)
            yield chunk
        if total != self.size or crc != self.packed.CRC:
            raise PermanentError(
                f"{self.name} is damaged: {total} of {self.size} bytes, CRC "
                f"{crc:08x} instead of {self.packed.CRC:08x}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A feed's files by name, and what was noticed on the way."""

    members: dict[str, Member]
    warnings: tuple[str, ...]


def open_archive(path: Path, limits: TimetableLimits) -> Archive:
    """The files of the feed in ``path``, a zip or a folder.

    Raises PermanentError when the archive breaks a limit or holds no single feed.
    """
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        found = {
            file.relative_to(path).as_posix(): Member(
                name=file.name, size=file.stat().st_size, source=file
            )
            for file in files
        }
    else:
        found = {
            info.filename: Member(
                name=PurePosixPath(info.filename).name,
                size=info.file_size,
                source=path,
                packed=info,
            )
            for info in _checked_infos(path, limits)
        }
    _check_sizes(path, found, limits)
    return _feed(path, found)


def _checked_infos(path: Path, limits: TimetableLimits) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise PermanentError(f"{path.name} is not a readable zip: {error}") from error
    if len(infos) > limits.max_members:
        raise PermanentError(
            f"{path.name} holds {len(infos)} files, more than {limits.max_members}"
        )
    infos = [info for info in infos if not info.is_dir()]
    seen: set[str] = set()
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise PermanentError(f"{path.name} names a file outside: {info.filename}")
        if info.filename in seen:
            raise PermanentError(f"{path.name} holds {info.filename} twice")
        seen.add(info.filename)
        if info.flag_bits & 0x1:
            raise PermanentError(f"{info.filename} in {path.name} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PermanentError(
                f"{info.filename} in {path.name} is packed by method "
                f"{info.compress_type}, not by deflate"
            )
        if (
            info.file_size > _SMALL_BYTES
            and info.file_size > limits.max_ratio * info.compress_size
        ):
            raise PermanentError(
                f"{info.filename} in {path.name} unpacks more than "
                f"{limits.max_ratio}-fold"
            )
    return infos


def _check_sizes(path: Path, found: dict[str, Member], limits: TimetableLimits) -> None:
    for name, member in found.items():
        if member.size > limits.max_file_bytes:
            raise PermanentError(
                f"{name} in {path.name} has {member.size} bytes, more than "
                f"{limits.max_file_bytes}"
            )
    total = sum(member.size for member in found.values())
    if total > limits.max_total_bytes:
        raise PermanentError(
            f"{path.name} unpacks to {total} bytes, more than {limits.max_total_bytes}"
        )


def _feed(path: Path, found: dict[str, Member]) -> Archive:
    folders = {
        str(PurePosixPath(name).parent)
        for name in found
        if PurePosixPath(name).name in _TELLTALES
    }
    if len(folders) > 1:
        raise PermanentError(
            f"{path.name} holds more than one feed: {', '.join(sorted(folders))}"
        )
    if not folders:
        some = ", ".join(sorted(found)[:3]) or "nothing"
        raise PermanentError(f"{path.name} holds no feed, only {some}")
    root = folders.pop()
    members: dict[str, Member] = {}
    warnings: list[str] = []
    for name, member in sorted(found.items()):
        inside = str(PurePosixPath(name).parent) == root
        if inside and member.name.endswith(".txt"):
            members[member.name] = member
        elif not name.startswith("__MACOSX/"):
            warnings.append(f"{name} in {path.name} is not a file of the feed")
    return Archive(members=members, warnings=tuple(warnings))


def _inflate(path: Path, info: zipfile.ZipInfo, chunk_bytes: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise PermanentError(f"{info.filename} in {path.name} has no header")
        fields = _LOCAL_HEADER.unpack(header)
        file.seek(fields[-2] + fields[-1], 1)
        left = info.compress_size
        if info.compress_type == zipfile.ZIP_STORED:
            while left and (piece := file.read(min(left, chunk_bytes))):
                left -= len(piece)
                yield piece
            return
        inflater = isal_zlib.decompressobj(wbits=-15)
        try:
            while left and (packed := file.read(min(left, _READ_BYTES))):
                left -= len(packed)
                while packed and not inflater.eof:
                    if chunk := inflater.decompress(packed, chunk_bytes):
                        yield chunk
                    packed = inflater.unconsumed_tail
            if tail := inflater.flush():
                yield tail
        except IsalError as error:  # type: ignore[misc]  # its stub is an instance
            raise PermanentError(
                f"{info.filename} in {path.name} does not unpack: {error}"
            ) from error
