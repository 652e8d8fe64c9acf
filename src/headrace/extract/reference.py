"""Sources by name: those that were decorated, and those that can be imported."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from headrace.errors.extract import InvalidSourceReference, UnknownSourceReference

_BATTERIES = "headrace.sources"
_FOREIGN = "dlt.sources"


class SourceReference:
    """A source under the name ``<module>.<function>``.

    Args:
        ref: The name.
        SPEC: The configuration class of its arguments; None when it is made from them.
        factory: Makes the source.
        section: Its configuration section.
        name: Its own name.
    """

    SOURCES: ClassVar[dict[str, SourceReference]] = {}

    def __init__(self, ref: str, SPEC: Any, factory: Any, section: str, name: str) -> None:
        self.ref, self.SPEC, self.factory = ref, SPEC, factory
        self.section, self.name = section, name

    @classmethod
    def register(cls, ref_obj: SourceReference) -> None:
        """Make a source known; a later one of the same name takes its place."""
        cls.SOURCES[ref_obj.ref] = ref_obj

    @staticmethod
    def expand_shorthand_ref(ref: str) -> list[str]:
        """The full names that a short one may stand for, in the order in which they are tried."""
        if "." in ref:
            return [ref]
        return [ref, f"sources.{ref}.{ref}", f"{_BATTERIES}.{ref}.{ref}"]

    @classmethod
    def find(cls, ref: str, raise_exec_errors: bool = False, import_missing_modules: bool = False) -> SourceReference:
        """The source of a name.

        Args:
            ref: ``name`` or ``module.function``; modules of dlt's own sources are understood.
            raise_exec_errors: Let errors of the imported module through.
            import_missing_modules: Without meaning here; kept for callers of dlt's function.

        Raises:
            UnknownSourceReference: There is none, neither decorated nor to import.
            InvalidSourceReference: The text is no reference.
        """
        if not ref or not all(part.isidentifier() for part in ref.split(".")):
            raise InvalidSourceReference(ref)
        tried = [_own(r) for r in cls.expand_shorthand_ref(ref)]
        traces: list[str] = []
        for name in tried:
            if name in cls.SOURCES:
                return cls.SOURCES[name]
        for name in tried:
            found = cls._import(name, traces, raise_exec_errors) if "." in name else None
            if found is not None:
                return found
        raise UnknownSourceReference(ref, tried, traces)

    @classmethod
    def _import(cls, name: str, traces: list[str], raise_exec_errors: bool) -> SourceReference | None:
        module_name, _, attribute = name.rpartition(".")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            traces.append(str(error))
            return None
        except Exception as error:
            if raise_exec_errors:
                raise
            traces.append(f"importing {module_name} failed: {error}")
            return None
        found = getattr(module, attribute, None)
        reference: SourceReference | None = getattr(found, "ref", None) or cls.SOURCES.get(name)
        if not isinstance(reference, SourceReference):
            traces.append(f"{name} is no source")
            return None
        return reference

    @classmethod
    def from_reference(
        cls,
        ref: str,
        /,
        name: str | None = None,
        section: str | None = None,
        max_table_nesting: int | None = None,
        root_key: bool | None = None,
        schema: Any = None,
        schema_contract: Any = None,
        spec: Any = None,
        parallelized: bool | None = None,
        _impl_cls: Any = None,
        source_args: tuple[Any, ...] | None = None,
        source_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Make the source of a name.

        Args:
            ref: See `find`.
            name: Another name for the source.
            section: Another configuration section.
            max_table_nesting: See the decorator `source`, as for the following.
            root_key: Whether nested rows carry the key of their root row.
            schema: An explicit schema.
            schema_contract: The contract of its tables.
            spec: The configuration class of its arguments.
            parallelized: Draw items of its resources in threads.
            source_args: Arguments of the source function.
            source_kwargs: The same, by name.
        """
        options = {
            "name": name,
            "section": section,
            "max_table_nesting": max_table_nesting,
            "root_key": root_key,
            "schema": schema,
            "schema_contract": schema_contract,
            "spec": spec,
            "parallelized": parallelized,
            "_impl_cls": _impl_cls,
        }
        changed = {k: v for k, v in options.items() if v is not None}
        factory = cls.find(ref).factory
        if changed:
            factory = factory.clone(**changed)
        return factory(*(source_args or ()), **(source_kwargs or {}))


def _own(ref: str) -> str:
    """The name of one of dlt's own sources is the name of ours."""
    return _BATTERIES + ref.removeprefix(_FOREIGN) if ref.startswith(f"{_FOREIGN}.") else ref
