"""Files on this machine's disks."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from ingest.stores.stored import (
    GLOB_CHARACTERS,
    SourceLocationError,
    StorageError,
    StoredObject,
    translate_glob,
)


def list_objects(location: str, base_dir: Path) -> list[StoredObject]:
    """Files at a path, in a folder or of a glob; relative ones start at `base_dir`."""
    try:
        given = Path(location).expanduser()
        path = Path(os.path.normpath(base_dir.absolute() / given))
        if path.is_file():
            return _describe_files([path], base_dir)
        if path.is_dir():
            return _describe_files(_match_paths(path, ["**"]), base_dir)
        if GLOB_CHARACTERS.search(location):
            # Only what the location says is a pattern: the home's own path may have brackets in it.
            root = Path("/") if given.is_absolute() else base_dir.absolute()
            return _describe_files(_match_paths(root, [part for part in given.parts if part != "/"]), base_dir)
    except (OSError, RuntimeError) as error:  # the second: ~user without such a user
        raise SourceLocationError(
            f"{location}: cannot be looked up: {error}. Correct `location` in sources.yml, or the rights of the folder."
        ) from error
    raise SourceLocationError(
        f"{location}: no such file or folder (looked at {path}). "
        "Correct `location` in sources.yml, or put the file there; relative paths start at the home."
    )


def _match_paths(folder: Path, parts: list[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files below `folder` whose path matches the pattern's parts."""
    part, rest = parts[0], parts[1:]
    if part == "**":
        if rest:
            yield from _match_paths(folder, rest)
        real = folder.resolve()
        if real in above:  # a link to a folder that it stands in
            return
        for child in _list_folder(folder):
            if child.is_dir():
                yield from _match_paths(child, parts, (*above, real))
            elif not rest and child.is_file():
                yield child
        return
    if GLOB_CHARACTERS.search(part):
        matches = re.compile(translate_glob(part)).fullmatch
        children = [child for child in _list_folder(folder) if matches(child.name)]
    else:
        children = [folder / part]
    for child in children:
        if rest and child.is_dir():
            yield from _match_paths(child, rest)
        elif not rest and child.is_file():
            yield child


def _list_folder(folder: Path) -> list[Path]:
    """What is in a folder but for hidden names. A folder that cannot be read is an error: its files would be missed."""
    try:
        return [child for child in folder.iterdir() if not child.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise describe_os_error(str(folder), error) from error


def _describe_files(paths: Iterable[Path], base_dir: Path) -> list[StoredObject]:
    """One object per file: a file with two names, by links, is the same rows twice."""
    base = Path(os.path.normpath(base_dir.absolute()))
    named: dict[tuple[int, int], StoredObject] = {}
    for path in sorted(set(paths)):
        file = Path(os.path.normpath(path))
        uri = str(file.relative_to(base) if file.is_relative_to(base) else file)
        try:
            uri.encode()
            status = path.stat()
        except UnicodeEncodeError as error:
            raise StorageError(f"{uri!r}: the file name is not UTF-8. Rename the file.") from error
        except FileNotFoundError:  # removed while we listed: it is not there to be landed
            continue
        except OSError as error:
            raise describe_os_error(uri, error) from error
        stored = StoredObject(
            uri=uri,
            size_bytes=status.st_size,
            etag=f"{status.st_size}-{status.st_mtime_ns}",
            modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            path=file,
        )
        other = named.setdefault((status.st_dev, status.st_ino), stored)
        if other is not stored and path.resolve() == file:  # its own name before a link's
            named[status.st_dev, status.st_ino] = stored
    return list(named.values())


def describe_os_error(uri: str, error: OSError) -> StorageError:
    """What a disk said, with the file and what to look at."""
    return StorageError(
        f"{uri}: cannot be read: {error.strerror}. Check that it exists and that this user may read it."
    )
