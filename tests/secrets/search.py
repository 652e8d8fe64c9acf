"""Search bytes for secrets in every form they may take: plain, encoded, escaped, wrapped over lines, cut short.

`find` is the one function; `Planted` holds what to look for. What is packed (gzip, zlib, base64 of either, zip) is
unpacked and searched as well.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import html
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, quote_plus

FRAGMENT = 12
"""Characters in a row that already give a secret away; those planted are made of letters that stand nowhere else."""

_DEPTH = 3  # packed in packed in packed
_PACKED = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
# what wraps text: ends of lines, frames of tables, indents; colors of terminals
_WRAPS = re.compile(rb"\x1b\[[0-9;]*m|\\n|[\s|\xe2\x94\x82\xe2\x94\x83>]+")


class Leak(NamedTuple):
    """A secret that was found."""

    name: str
    form: str
    where: str
    around: str

    def __str__(self) -> str:
        return f"secret `{self.name}` ({self.form}) in {self.where}: …{self.around}…"


@dataclass(frozen=True)
class Planted:
    """Secrets by the name of the place where they were planted."""

    secrets: dict[str, str]

    @cached_property
    def forms(self) -> list[tuple[str, str, bytes]]:
        """Name, form and bytes of all that is looked for."""
        found = {
            (name, text): form for name, secret in self.secrets.items() for form, text in reversed([*forms(secret)])
        }
        return [(name, form, text) for (name, text), form in reversed(found.items())]

    @cached_property
    def _any(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(re.escape(text) for _, _, text in self.forms))

    def find(self, data: bytes | str, where: str = "text") -> list[Leak]:
        """All secrets in some bytes; of each the first form that is found.

        Args:
            data: What was produced.
            where: What it is, for the message.
        """
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return [leak for place, part in unpacked(raw, where) for leak in self._in(part, place)]

    def _in(self, raw: bytes, where: str) -> Iterator[Leak]:
        texts = [(kind, t) for kind, t in (("", raw), (", wrapped", _WRAPS.sub(b"", raw))) if self._any.search(t)]
        told: set[str] = set()
        for name, form, wanted in self.forms if texts else ():
            for kind, text in texts:
                at = text.find(wanted)
                if at >= 0 and name not in told:
                    told.add(name)
                    around = text[max(0, at - 60) : at + len(wanted) + 40].decode("utf-8", "replace")
                    yield Leak(name, form + kind, where, around)

    def find_all(self, things: Iterable[tuple[str, bytes | str]]) -> list[Leak]:
        """All secrets in many things, each with its name."""
        return [leak for where, data in things for leak in self.find(data, where)]


def forms(secret: str) -> Iterator[tuple[str, bytes]]:
    """How a secret may be spelled, with the name of each way."""
    data = secret.encode()
    yield "plain", data
    yield "other case", data.swapcase()
    yield "percent-encoded", quote(secret, safe="").encode()
    yield "percent-encoded", quote(secret).encode()
    yield "form-encoded", quote_plus(secret).encode()
    yield "JSON", json.dumps(secret)[1:-1].encode()
    yield "JSON in JSON", json.dumps(json.dumps(secret))[3:-3].encode()
    yield "repr", repr(secret)[1:-1].encode()
    yield "HTML", html.escape(secret).encode()
    yield "hex", data.hex().encode()
    yield "reversed", data[::-1]
    yield "UTF-16", secret.encode("utf-16-le")
    for ahead in range(3):  # wherever in a group of three bytes it begins
        coded = base64.b64encode(b"\0" * ahead + data)
        left = (ahead + len(data)) % 3
        core = coded[(0, 2, 3)[ahead] : len(coded) - (0, 3, 2)[left]]
        yield "base64", core
        yield "base64 for urls", core.translate(bytes.maketrans(b"+/", b"-_"))
    for start in range(0, len(secret) - FRAGMENT + 1, FRAGMENT // 2):
        yield "a part of it", secret[start : start + FRAGMENT].encode()
    yield "its end", secret[-FRAGMENT:].encode()


def unpacked(raw: bytes, where: str, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """Bytes, and what is packed in them."""
    yield where, raw
    if not depth:
        return
    for how, inner in _inner(raw):
        yield from unpacked(inner, f"{where} ({how})", depth - 1)


def _inner(raw: bytes) -> Iterator[tuple[str, bytes]]:
    if raw[:2] == b"\x1f\x8b":
        yield "gzip", gzip.decompress(raw)
    if raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                yield f"zip: {name}", archive.read(name)
    if raw[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            yield "zlib", zlib.decompress(raw)
    for found in _PACKED.findall(raw):
        packed = found.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        try:
            inner = base64.b64decode(packed + b"=" * (-len(packed) % 4))
        except ValueError:
            continue
        # words of many letters are base64 too: only what is packed once more, or is text, is looked into
        if inner[:1] == b"\x78" or inner[:2] == b"\x1f\x8b" or inner.isascii():
            yield "base64", inner


def files(folder: Path, leave_out: Iterable[str] = ()) -> Iterator[tuple[str, bytes]]:
    """All files under a folder, but for those whose path matches one of the patterns, with their names."""
    patterns = [re.compile(one) for one in leave_out]
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(p.search(name) for p in patterns):
            yield f"file {name}", path.read_bytes()
            yield f"name of {name}", name
