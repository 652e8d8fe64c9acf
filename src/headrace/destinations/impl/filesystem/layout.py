"""Names of files, made from a template like ``{table_name}/{load_id}.{file_id}.{ext}``.

Placeholders and their meaning are those of dlt (behaviour.md 17.2), so that folders begun with it go on.
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from headrace.destinations.impl.filesystem.errors import (
    CantExtractTablePrefix,
    InvalidFilesystemLayout,
    InvalidPlaceholderCallback,
)

STANDARD = ("schema_name", "table_name", "load_id", "file_id", "ext")
INSTANTS = ("curr_date", "timestamp", "timestamp_ms", "load_package_timestamp", "load_package_timestamp_ms")
_MONTHS: tuple[str, ...] = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TOKENS: dict[str, Callable[[dt.datetime], str]] = {
    "YYYY": lambda t: f"{t.year:04d}",
    "YY": lambda t: f"{t.year % 100:02d}",
    "Y": lambda t: str(t.year),
    "MMMM": lambda t: _MONTHS[t.month - 1],
    "MMM": lambda t: _MONTHS[t.month - 1][:3],
    "MM": lambda t: f"{t.month:02d}",
    "M": lambda t: str(t.month),
    "DD": lambda t: f"{t.day:02d}",
    "D": lambda t: str(t.day),
    "HH": lambda t: f"{t.hour:02d}",
    "H": lambda t: str(t.hour),
    "mm": lambda t: f"{t.minute:02d}",
    "m": lambda t: str(t.minute),
    "dddd": lambda t: _DAYS[t.weekday()],
    "ddd": lambda t: _DAYS[t.weekday()][:3],
    "dd": lambda t: _DAYS[t.weekday()][:2],
    "d": lambda t: str(t.isoweekday() % 7),
    "ss": lambda t: f"{t.second:02d}",
    "s": lambda t: str(t.second),
    "SSSS": lambda t: f"{t.microsecond:06d}"[:4],
    "SSS": lambda t: f"{t.microsecond:06d}"[:3],
    "SS": lambda t: f"{t.microsecond:06d}"[:2],
    "S": lambda t: f"{t.microsecond:06d}"[:1],
    "Q": lambda t: str((t.month + 2) // 3),
}
# what a placeholder's text may be, where that is known; anything without a slash otherwise
_SHAPES = {
    "load_id": r"\d+(?:\.\d+)?",
    "file_id": r"[0-9A-Za-z]+",
    "ext": r"[0-9a-z_-]+(?:\.gz)?",
    "curr_date": r"\d{4}-\d\d-\d\d",
    **dict.fromkeys(INSTANTS[1:], r"-?\d+"),
    **dict.fromkeys(_TOKENS, r"[0-9a-z]+"),
}


class FileFacts(NamedTuple):
    """What the name of a file is made from."""

    schema_name: str
    table_name: str
    load_id: str
    file_id: str
    ext: str
    package_time: dt.datetime


class Layout:
    """A template of file names.

    Args:
        template: The text; ``.{ext}`` is added if it has no ``{ext}``.
        extra: Further placeholders: values, or functions of schema name, table name, load id, file id and extension.
        current_datetime: What the placeholders of time show; a function is called for each file. By default it is the
            instant of the load package, which stays the same when a load is taken up again.

    Raises:
        InvalidFilesystemLayout: It has placeholders that are neither known nor in ``extra``.
        CantExtractTablePrefix: Files of different tables could not be told apart.
    """

    def __init__(self, template: str, extra: Mapping[str, Any] | None = None, current_datetime: Any = None) -> None:
        self.extra, self._now = dict(extra or {}), current_datetime
        self.names = _names(template, self.extra)
        if "ext" not in self.names:
            template, self.names = f"{template}.{{ext}}", [*self.names, "ext"]
        self.template = re.sub("/{2,}", "/", template).lstrip("/")
        self._head, self._separator = _take_head(template, self.template)

    @property
    def is_repeatable(self) -> bool:
        """Whether a file gets the same name each time it is asked for."""
        used = set(self.names)
        return not any(callable(self.extra.get(name)) for name in used) and not (
            callable(self._now) and used & {*_TOKENS, *INSTANTS}
        )

    def prefix(self, schema_name: str, table_name: str) -> str:
        """How all names of a table's files begin."""
        return self._head.format(schema_name=schema_name, table_name=table_name) + self._separator

    @property
    def table_folder(self) -> str:
        """The folder of a table's files, or what their names begin with; with placeholders."""
        return self._head

    @property
    def has_folders(self) -> bool:
        """Whether each table has a folder of its own."""
        return self._separator == "/"

    def path(self, facts: FileFacts) -> str:
        """The name of a file.

        Raises:
            InvalidPlaceholderCallback: A function of the user's could not be called.
        """
        values: dict[str, Any] = {name: getattr(facts, name) for name in STANDARD}
        values.update(self._instants(facts.package_time))
        for name, value in self.extra.items():
            if name in self.names:
                values[name] = self._own(name, value, facts)
        return re.sub("/{2,}", "/", self.template.format(**{name: str(values[name]) for name in self.names}))

    def _instants(self, package_time: dt.datetime) -> dict[str, str]:
        wanted = [name for name in self.names if name in _TOKENS or name in INSTANTS]
        if not wanted:
            return {}
        moment = _moment(self._now) or package_time
        found = {name: _TOKENS[name](moment) for name in wanted if name in _TOKENS}
        found["curr_date"] = f"{moment:%Y-%m-%d}"
        for prefix, instant in (("", moment), ("load_package_", package_time)):
            micros = (instant - _EPOCH) // dt.timedelta(microseconds=1)
            found[f"{prefix}timestamp"] = str(micros // 1_000_000)
            found[f"{prefix}timestamp_ms"] = str(micros // 1_000)
        return found

    def _own(self, name: str, value: Any, facts: FileFacts) -> Any:
        if not callable(value):
            return value
        try:
            return value(*facts[:5])
        except TypeError as error:
            raise InvalidPlaceholderCallback(name) from error

    def owner(self, path: str, schema_name: str, tables: Iterable[str]) -> str | None:
        """Which of some tables a file belongs to.

        Names like ``orders_items.1.jsonl`` begin with the prefix of ``orders_`` as well: the longest one counts, and
        what follows must have the form of the layout.

        Args:
            path: The file's name, relative to the dataset's folder.
            schema_name: The schema of the tables.
            tables: Their names.
        """
        fitting = [table for table in tables if path.startswith(self.prefix(schema_name, table))]
        for table in sorted(fitting, key=len, reverse=True):
            if self.has_folders or self._rest(schema_name, table).fullmatch(path):
                return table
        return None

    def load_id(self, path: str, schema_name: str, table_name: str) -> str | None:
        """The load that a file is of, if its name tells; arguments as of `owner`."""
        if "load_id" not in self.names:
            return None
        named = self._rest(schema_name, table_name).fullmatch(path)
        return named["load_id"] if named else None

    def partition(self, path: str, schema_name: str, table_name: str) -> dict[str, str | None]:
        """The folders of a file below those of its table, by the placeholders they are made of.

        ``year={YYYY}/{MM}/{load_id}.{file_id}.{ext}`` gives ``{"year": "2024", "MM": "05"}``. Nothing where the layout
        makes no such folders, or where a value has brought folders of its own into the path.

        Args:
            path: The file's name, relative to the dataset's folder.
            schema_name: The schema of the table.
            table_name: The table.
        """
        head = self.prefix(schema_name, table_name)
        wanted = self.template[len(self._head) + len(self._separator) :].split("/")[:-1]
        have = path[len(head) :].split("/")[:-1]
        if not path.startswith(head) or len(have) != len(wanted):
            return {}
        found: dict[str, str | None] = {}
        for folder, value in zip(wanted, have, strict=True):
            names = [name for _, name, _, _ in string.Formatter().parse(folder) if name is not None]
            if not set(names) - _NO_PARTITION:
                continue
            key, equals, rest = folder.partition("=")
            if equals and "{" not in key and "=" not in rest:
                found[key] = value[len(key) + 1 :]
            else:
                found[folder.replace("{", "").replace("}", "")] = value
        return found

    def _rest(self, schema_name: str, table_name: str) -> re.Pattern[str]:
        known = {"schema_name": schema_name, "table_name": table_name}
        pattern = []
        for text, name, _, _ in string.Formatter().parse(self.template):
            pattern.append(re.escape(text))
            if name is not None and name in known:
                pattern.append(re.escape(known[name]))
            elif name is not None:
                shape = _SHAPES.get(name, ".+?")
                is_first = name == "load_id" and not any("P<load_id>" in part for part in pattern)
                pattern.append(f"(?P<load_id>{shape})" if is_first else shape)
        return re.compile("".join(pattern))


# what is in folders of these is no part of a table
_NO_PARTITION = {"schema_name", "table_name", "file_id", "ext"}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def _names(template: str, extra: Mapping[str, Any]) -> list[str]:
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError:
        found = [""]
    known = {*STANDARD, *INSTANTS, *_TOKENS, *extra}
    unknown = [name for name in found if name not in known]
    if unknown:
        unused = [name for name in extra if name not in found]
        raise InvalidFilesystemLayout(template, sorted(known), sorted(extra), unknown, unused)
    return list(dict.fromkeys(found))


def _take_head(given: str, template: str) -> tuple[str, str]:
    """The layout up to the table's name, and the character that ends the name."""
    mark = "{table_name}"
    before, found, after = template.partition(mark)
    if not found:
        raise CantExtractTablePrefix(given, "it has no placeholder {table_name}")
    early = [name for _, name, _, _ in string.Formatter().parse(before) if name not in (None, "schema_name")]
    if early:
        raise CantExtractTablePrefix(
            given, f"only {{schema_name}} may stand before {{table_name}}, and there is {{{early[0]}}}"
        )
    separator = after[:1]
    if separator in ("", "{") or separator.isalnum():
        raise CantExtractTablePrefix(given, "a separator must follow {table_name}, for example a slash")
    return before + mark, separator


def _moment(given: Any) -> dt.datetime | None:
    found = given() if callable(given) else given
    if found is None:
        return None
    if isinstance(found, str):
        found = dt.datetime.fromisoformat(found.replace("Z", "+00:00"))
    if not isinstance(found, dt.datetime):
        raise TypeError(f"`current_datetime` must be a date and time or a function that gives one, not {found!r}")
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.timezone.utc)
