"""Hints for a missing value: what is set that looks like it. Only loaded when an error is made."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

from headrace.config.lookup import Lookup
from headrace.config.providers import ENVIRONMENT
from headrace.errors.config import MissingPlace, toml_key

_NOTES = 2  # lines
_ALIKE = 0.75  # of two words, by difflib


def notes(places: Sequence[MissingPlace], lookup: Lookup) -> list[str]:
    """Lines to add to the error: the nearest key that is set, and that there are no files.

    Args:
        places: The missing values.
        lookup: The run of lookups that did not find them.
    """
    found: list[str] = []
    wanted = {name for place in places for name in place.tried}
    for place in places:
        best = _nearest(place, lookup, wanted)
        if best is not None:
            found.append(f"{best} is set: did you mean it to be `{place.field}`?")
        if len(found) == _NOTES:
            break
    if not found:
        missing = _absent_files(lookup)
        if missing:
            found.append(f"there is no {missing}")
    return found


def unknown_keys(section: str, fields: Collection[str]) -> list[str]:
    """Keys of a section that no setting is called, as they are spelt, with the setting that is like them.

    Args:
        section: A section at the top.
        fields: Names of its settings.
    """
    found = []
    for spelling, path in _known(Lookup(None)):
        words = [word.lower() for word in path]
        if len(words) < 2 or words[0] != section or words[1] in fields:
            continue
        import difflib

        likely = difflib.get_close_matches(words[1], fields, 1, _ALIKE)
        found.append(f"{spelling} (did you mean `{likely[0]}`?)" if likely else spelling)
    return found


def _nearest(place: MissingPlace, lookup: Lookup, wanted: set[str]) -> str | None:
    best: tuple[float, str] | None = None
    for spelling, words in _known(lookup):
        name = "__".join(words).upper()
        if name in wanted and spelling == name:
            continue
        score = max((_score(name, tried) for tried in place.tried), default=0.0)
        if score and (best is None or score > best[0]):
            best = (score, spelling)
    return best[1] if best else None


def _known(lookup: Lookup) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every key that is set, as it is spelt and as words; the values are not looked at."""
    for provider, _ in lookup.readers:
        try:
            for path in provider.known_keys():
                if provider.name == ENVIRONMENT:
                    yield "__".join(path), path
                else:
                    yield f"`{'.'.join(map(toml_key, path))}` in {provider.name}", path
        except Exception:  # noqa: BLE001  a provider that cannot list its keys must not hide the real error
            continue


def _score(name: str, wanted: str) -> float:
    """How much a key looks like a misspelt other: 0 not at all, 1 but for case and underscores."""
    if _bare(name) == _bare(wanted):
        return 1.0
    have, want = name.split("__"), wanted.split("__")
    if len(have) == len(want):
        # one letter words alone say nothing
        if len(have) == 1 and len(want[0]) < 4:
            return 0.0
        worst = min(_alike(a, b) for a, b in zip(have, want, strict=True))
        return 0.9 * worst if worst >= _ALIKE else 0.0
    if have[-1] == want[-1] and len(have) > 1 and len(want) > 1 and have[0] == want[0]:
        inside = [w for w in have if w in want]
        return 0.5 * len(inside) / max(len(have), len(want)) if len(inside) == len(have) else 0.0
    return 0.0


def _alike(a: str, b: str) -> float:
    if a == b:
        return 1.0
    import difflib

    return difflib.SequenceMatcher(None, _bare(a), _bare(b)).ratio()


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _absent_files(lookup: Lookup) -> str:
    from headrace.config.registry import providers

    opened = {id(provider) for provider, _ in lookup.readers}
    absent = [
        os.path.normpath(provider.locations[0])
        for provider in providers()
        if id(provider) not in opened and provider.locations and not provider.present_locations
    ]
    return " and no ".join(absent)
