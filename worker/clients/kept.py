"""Archives that came whole, kept under their hash with what the server called them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A bundle as it was received: its hash and what the server called it."""

    name: str
    sha256: str
    etag: str = ""
    modified: str = ""


class Kept:
    """The archives of one folder: ``NAME-HASH.zip``, and ``.json`` for its labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str, sha256: str) -> Path:
        """Where the bundle with this hash is kept, if it is."""
        return self.folder / f"{name}-{sha256[:16]}.zip"

    def keep(self, part: Path, published: Published) -> Path:
        """Keep ``part``, which came whole; where it is from now on."""
        path = self.path(published.name, published.sha256)
        write_labels(path, **asdict(published))
        part.replace(path)
        _labels(part).unlink(missing_ok=True)
        return path

    def newest(self, name: str) -> Published | None:
        """The bundle that came last, when it and its labels are here."""
        kept = [path for path in self.folder.glob(f"{name}-*.zip") if labels_of(path)]
        if not kept:
            return None
        return Published(**labels_of(max(kept, key=lambda path: path.stat().st_mtime)))

    def whole(self, held: Published) -> Path | None:
        """Where ``held`` is kept, None when it is not; a damaged copy is deleted."""
        path = self.path(held.name, held.sha256)
        if path.exists() and sha256_of(path) != held.sha256:
            path.unlink()
        return path if path.exists() else None

    def forget_others(self, hashes: Mapping[str, str]) -> None:
        """Delete archives other than those with the hashes by name."""
        wanted = {self.path(name, sha256) for name, sha256 in hashes.items()}
        for path in self.folder.glob("*.zip"):
            if path not in wanted:
                path.unlink(missing_ok=True)
                _labels(path).unlink(missing_ok=True)


def labels_of(archive: Path) -> dict[str, str]:
    """What was noted of ``archive``; empty when nothing was, or not to the end."""
    try:
        found: dict[str, str] = json.loads(_labels(archive).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def write_labels(archive: Path, **labels: str) -> None:
    """Note what the server called ``archive``."""
    _labels(archive).write_text(json.dumps(labels))


def sha256_of(path: Path) -> str:
    """The hash of an archive; of a folder, that of its files' names and contents."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file_path in sorted(each for each in path.rglob("*") if each.is_file()):
        whole.update(file_path.relative_to(path).as_posix().encode() + b"\0")
        with file_path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _labels(archive: Path) -> Path:
    return archive.with_suffix(".json")
