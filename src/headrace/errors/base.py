"""The root of all errors of headrace, and how their text is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.errors.masking import without_secrets


class HeadraceException(Exception):
    """Root of every error that headrace raises on purpose.

    The text is made of three parts: what happened, why, and what to do next.

    Args:
        what: What happened, and to which pipeline, resource, table, column or row.
        why: The cause, when it is known and not evident.
        fix: What to do next, with the setting or call to change.
    """

    # attributes that are there for code alone: neither told nor sent to another process
    _unsaid: tuple[str, ...] = ()

    def __init__(self, what: str = "", *, why: str | None = None, fix: str | None = None) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"Why: {self.why}")
        if self.fix:
            parts.append(f"What to do: {self.fix}")
        return without_secrets("\n".join(parts))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(without_secrets(repr(arg)) for arg in self.args)})"

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {k: None if k in self._unsaid else _to_send(v) for k, v in self.__dict__.items()}
        args = tuple(map(_to_send, self.args))
        return (_rebuild, (type(self), args, facts))

    def attrs(self) -> dict[str, Any]:
        """The facts the error carries, by name."""
        told = {k: v for k, v in self.__dict__.items() if not k.startswith("_") and k not in self._unsaid}
        return {k: without_secrets(v) if type(v) is str else v for k, v in told.items()}

    def hide_texts(self, hide: Callable[[str], str]) -> None:
        """Do something to all texts that the error carries; `masking.clean` asks for it."""
        self.__dict__.update({k: hide(v) for k, v in self.__dict__.items() if type(v) is str})


def _to_send(value: Any) -> Any:
    """What travels to another process: of others' errors the type and the text, not the request or row they hold."""
    if type(value) is str:
        return without_secrets(value)
    if not isinstance(value, Exception) or isinstance(value, HeadraceException):
        return value
    kind = type(value)
    bare = kind.__new__(kind)
    bare.args = tuple(without_secrets(str(arg)) for arg in value.args)
    return bare


def _rebuild(cls: type[HeadraceException], args: tuple[Any, ...], facts: dict[str, Any]) -> HeadraceException:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(facts)
    return error


class TerminalException(BaseException):
    """Mix-in: trying again without a change will fail again."""


class TransientException(BaseException):
    """Mix-in: trying again later may succeed."""


class TerminalValueError(ValueError, TerminalException):
    """A value that no retry will make right."""


class SignalReceivedException(KeyboardInterrupt, TerminalException):
    """SIGINT or SIGTERM arrived while a step was running."""

    def __init__(self, signal_code: int) -> None:
        self.signal_code = signal_code
        super().__init__(f"signal {signal_code} received")


class MissingDependencyException(HeadraceException, ImportError):
    """A package is needed that is not installed.

    Args:
        caller: Who needs it, in a user's words.
        dependencies: What to give to pip.
        appendix: More to say.
    """

    def __init__(self, caller: str, dependencies: Sequence[str], appendix: str = "") -> None:
        self.caller, self.dependencies, self.appendix = caller, list(dependencies), appendix
        quoted = " ".join(f'"{d}"' for d in dependencies)
        super().__init__(
            f"{caller} needs a package that is not installed.",
            why=appendix or None,
            fix=f"pip install {quoted}",
        )


class ValueErrorWithKnownValues(HeadraceException, ValueError):
    """A setting has a value outside the known ones."""

    def __init__(self, key: str, value_received: Any, valid_values: Sequence[Any]) -> None:
        self.key, self.value_received, self.valid_values = key, value_received, list(valid_values)
        super().__init__(
            f"`{key}` has the unknown value {value_received!r}.",
            fix=f"use one of: {', '.join(repr(v) for v in valid_values)}",
        )


class TypeErrorWithKnownTypes(HeadraceException, TypeError):
    """An argument has a type outside the accepted ones."""

    def __init__(self, key: str, value_received: Any, valid_types: Sequence[Any]) -> None:
        self.key, self.value_received, self.valid_types = key, value_received, list(valid_types)
        names = ", ".join(getattr(t, "__name__", str(t)) for t in valid_types)
        super().__init__(f"`{key}` has the type {type(value_received).__name__}.", fix=f"give one of: {names}")


class ArgumentsOverloadException(HeadraceException):
    """Two arguments that exclude each other were given, or one that needs another."""

    def __init__(self, message: str, func_name: str = "", *args: Any) -> None:
        self.func_name = func_name
        super().__init__(f"{func_name}: {message}" if func_name else message)


class ReferenceImportError(HeadraceException):
    """A name that stands for a Python object could not be imported."""


class PipelineException(HeadraceException):
    """Root of errors of pipelines; carries the pipeline's name."""

    def __init__(self, pipeline_name: str | None, what: str, *, why: str | None = None, fix: str | None = None) -> None:
        self.pipeline_name = pipeline_name
        super().__init__(what, why=why, fix=fix)
