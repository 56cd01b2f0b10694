"""A zip archive written front to back, compressed by isal: memory stays flat."""

import shutil
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from isal import isal_zlib

LEVEL = 2
_FLAGS = 0x0808
"""Sizes follow the data, names are UTF-8."""
_DEFLATED = 8
_VERSION = 20
_LIMIT = 2**32 - 1
_DOS_DATE = (2026 - 1980) << 9 | 1 << 5 | 1


class StreamedZip:
    """``with StreamedZip(path) as archive: archive.add(name, blocks)``.

    Entries of 4 GiB and more are refused with ValueError: this writer has no zip64.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._directory: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._write_directory()
        self._file.close()

    def add(self, name: str, blocks: Iterable[bytes]) -> int:
        """Add one file, block by block; its size."""
        where = self._file.tell()
        encoded = name.encode()
        self._file.write(
            struct.pack(
                *("<4s5H3I2H", b"PK\3\4", _VERSION, _FLAGS, _DEFLATED, 0, _DOS_DATE),
                *(0, 0, 0, len(encoded), 0),
            )
            + encoded
        )
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        size = packed = crc = 0
        for block in blocks:
            crc = isal_zlib.crc32(block, crc)
            size += len(block)
            packed += self._file.write(deflate.compress(block))
        packed += self._file.write(deflate.flush())
        if max(size, where + packed) > _LIMIT:
            raise ValueError(f"{name} makes the archive larger than 4 GiB")
        sums = struct.pack("<3I", crc, packed, size)
        self._file.write(b"PK\7\10" + sums)
        self._directory.append(
            struct.pack(
                *("<4s6H", b"PK\1\2", _VERSION, _VERSION, _FLAGS, _DEFLATED, 0),
                _DOS_DATE,
            )
            + sums
            + struct.pack("<5H2I", len(encoded), 0, 0, 0, 0, 0o644 << 16, where)
            + encoded
        )
        return size

    def _write_directory(self) -> None:
        where = self._file.tell()
        length = sum(self._file.write(entry) for entry in self._directory)
        count = len(self._directory)
        self._file.write(
            struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, where, 0)
        )


def reissue(path: Path) -> None:
    """Put an archive of the same content, but of another hash, in its place."""
    draft = path.with_suffix(".draft")
    shutil.copyfile(path, draft)
    with zipfile.ZipFile(draft, "a") as archive:
        archive.comment += b"."
    draft.replace(path)
