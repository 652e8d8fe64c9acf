"""A door through which DuckDB reads the files of any fsspec file system, under a protocol of our own.

Protocols like ``s3://`` would make DuckDB look for extensions of its own first.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fsspec import AbstractFileSystem

PROTOCOL = "headrace"


class Door(AbstractFileSystem):  # type: ignore[misc]
    """Reads what another file system has.

    Args:
        inner: That file system.
    """

    protocol: ClassVar[str] = PROTOCOL
    cachable: ClassVar[bool] = False

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    @staticmethod
    def path_of(path: str) -> str:
        """The inner file system's path as a path behind the door."""
        return f"{PROTOCOL}://{path}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix(f"{PROTOCOL}://")

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Facts about a file."""
        found: dict[str, Any] = self._inner.info(self._strip_protocol(path))
        return found

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is a file."""
        return bool(self._inner.exists(self._strip_protocol(path)))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        """What is in a folder."""
        return self._inner.ls(self._strip_protocol(path), detail=detail)

    def glob(self, path: str, **kwargs: Any) -> list[str]:
        """The file itself: names are never patterns here."""
        found = self._strip_protocol(path)
        return [self.path_of(found)] if self._inner.exists(found) else []

    def modified(self, path: str) -> Any:
        """When a file was last changed."""
        import datetime as dt

        try:
            return self._inner.modified(self._strip_protocol(path))
        except (NotImplementedError, KeyError, TypeError):
            return dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        # what DuckDB asks for comes in order; prefetching in the background would outlive the query
        options = {"cache_type": "readahead"} if "gs" in self._inner.protocol else {}
        return self._inner.open(self._strip_protocol(path), "rb", **options)
