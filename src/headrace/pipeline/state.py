"""The state document of a pipeline: one file, rewritten only when it changed.

The document in memory is the live one: resources write their cursors into it. It becomes durable together with the
data, inside the package that the cursors belong to; ``pipeline.json`` is a copy for the next start and is brought up to
date from the newest sealed package when a process died in between.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any, cast

from headrace.base import json, typed_json
from headrace.base.files import write_atomic
from headrace.model.state import bump_state_version, default_state, migrate_state

logger = logging.getLogger("headrace")

TPipelineState = dict[str, Any]


def to_plain(document: Any) -> Any:
    """Turn typed values (dates, decimals, …) into marked text, so that any JSON writer keeps them."""
    return json.loads(typed_json.dumpb(document))


def from_plain(document: Any) -> Any:
    """Undo `to_plain`; also accepts a document whose values are typed already."""
    return typed_json.loads(typed_json.dumpb(document))


def without_local(state: TPipelineState) -> TPipelineState:
    """The part of the document that goes to the destination."""
    return {key: value for key, value in state.items() if key != "_local"}


class StateFile:
    """The live state document and its file.

    Attributes:
        document: The live document. Its identity changes only in `reload`, `replace` and `reset`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved: bytes | None = None
        self._stamp: tuple[int, int, int] | None = None
        self.document: TPipelineState = _fresh()
        self.reload()

    @property
    def local(self) -> dict[str, Any]:
        """The part that never leaves this machine."""
        part: dict[str, Any] = self.document.setdefault("_local", {})
        return part

    def copy(self) -> TPipelineState:
        """A deep copy, for callers that may change it."""
        return copy.deepcopy(self.document)

    def reload(self) -> None:
        """Throw away what was not saved and read the file again."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            self.document, self._saved, self._stamp = _fresh(), None, None
            return
        self._stamp = self._look()
        try:
            document: Any = typed_json.loads(data)
        except ValueError:
            # after a power loss the file may be torn: the sealed packages still know the state
            logger.warning("%s is damaged; the state is taken from the newest sealed package instead", self.path)
            self.document, self._saved = _fresh(), None
            return
        self.document, self._saved = _migrated(document), data
        self.document.setdefault("_local", {})

    def refresh(self) -> bool:
        """Read the file again if another process changed it; returns whether it did."""
        changed = self._look() != self._stamp
        if changed:
            self.reload()
        return changed

    def is_changed(self) -> bool:
        """Whether the document differs from the file as it was read or written last."""
        return typed_json.dumpb(self.document) != self._saved

    def save(self) -> bool:
        """Write the file if the document changed; returns whether it did."""
        data = typed_json.dumpb(self.document)
        if data == self._saved:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, data)
        self._saved, self._stamp = data, self._look()
        return True

    def before(self) -> TPipelineState | None:
        """The document as it was saved last, plain, without ``_local``; None when nothing was saved yet."""
        return None if self._saved is None else without_local(json.loads(self._saved))

    def replace(self, shared: TPipelineState) -> None:
        """Take over a document from elsewhere; ``_local`` stays."""
        local = self.document.get("_local", {})
        self.document = {**without_local(_migrated(shared)), "_local": local}

    def reset(self) -> None:
        """Begin again with an empty document, in memory."""
        self.document = _fresh()

    def forget_file(self) -> None:
        """The file was deleted: the next `save` writes it in any case."""
        self._saved, self._stamp = None, None

    def bump(self) -> str:
        """Raise the version if the content changed; returns the content's hash."""
        _, content_hash, _ = bump_state_version(self.document)  # type: ignore[arg-type]
        return str(content_hash)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _migrated(document: TPipelineState) -> TPipelineState:
    found: Any = migrate_state(document)
    return cast(TPipelineState, found)


def _fresh() -> TPipelineState:
    state: TPipelineState = dict(default_state())
    state.setdefault("_local", {"first_run": True})
    return state
