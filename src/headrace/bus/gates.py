"""Gates: the hooks that may stop or change something. They answer with values; the steps carry these out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias, get_args, runtime_checkable

from headrace.bus.observer import Run
from headrace.errors.bus import GateFailed, Veto
from headrace.model.decisions import Accept, LoadDecision, NewColumn, Park, Retype, SchemaDecision, Skip, Stop
from headrace.typing import TDataType

Answer: TypeAlias = LoadDecision | Iterable[LoadDecision] | None


@runtime_checkable
class Gate(Protocol):
    """Is asked once before a package is loaded."""

    def check(self, package: Any, run: Run) -> Answer:
        """Look at a normalized package, and change nothing.

        Args:
            package: Its ``load_id``, ``schema_name``, ``fact(Normalized).files``, ``info()``, ``load_schema()``.
            run: The live view of the run.

        Returns:
            None to let it pass; `Stop`, `Park`, or one or more `Skip`.

        Raises:
            Veto: The same as `Stop`. Any other error stops the load too: a check that cannot be made is not passed.
        """


@runtime_checkable
class SchemaGate(Protocol):
    """Is asked once for each new column of a package, before any file is written for it."""

    def decide(self, change: NewColumn, run: Run) -> SchemaDecision | None:
        """Look at a column that the data would add.

        Returns:
            None or `Accept` to let it be; `Drop`, `Retype`, `Freeze`.

        Raises:
            Veto: The step fails and the package waits; so it does with any other error.
        """


class _Checks:
    """A gate made of a function of a package, or of a package and the run."""

    def __init__(self, function: Callable[..., Answer]) -> None:
        from headrace.bus.observer import takes_two

        self._function, self._wants_run = function, takes_two(function)
        self.name = f"{function.__module__}.{function.__qualname__}"

    def check(self, package: Any, run: Run) -> Answer:
        return self._function(package, run) if self._wants_run else self._function(package)


class Gates:
    """The gates of a pipeline, by name and in the order in which they are asked.

    A gate's name is its attribute ``name``, else that of its class; a second one of the same name gets a number.
    Journals know gates by it.
    """

    def __init__(self) -> None:
        self._gates: dict[str, Any] = {}
        self._names: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._gates)

    def add(self, gate: Any) -> Any:
        """Add a gate, or a function of a package; the same one only once.

        Raises:
            TypeError: It is neither.
        """
        if any(gate is one or gate is getattr(one, "_function", None) for one in self._gates.values()):
            return gate
        found = gate
        if isinstance(gate, type) or not isinstance(gate, (Gate, SchemaGate)):
            if not callable(gate) or isinstance(gate, type):
                raise TypeError(
                    "a gate has a method `check(package, run)` or `decide(change, run)`, or is a function of a "
                    f"package; this is {gate!r}"
                )
            found = _Checks(gate)
        name = str(getattr(found, "name", None) or f"{type(found).__module__}.{type(found).__qualname__}")
        self._names[name] += 1
        self._gates[name if self._names[name] == 1 else f"{name}#{self._names[name]}"] = found
        return gate

    def forget(self, gate: Any) -> None:
        """Ask a gate no more; nothing happens if it was not there."""
        self._gates = {
            name: one
            for name, one in self._gates.items()
            if one is not gate and getattr(one, "_function", None) is not gate
        }

    def checking(self) -> Iterator[str]:
        """Names of the gates that are asked before a load."""
        return (name for name, gate in self._gates.items() if isinstance(gate, Gate))

    @property
    def decides(self) -> bool:
        """Whether a gate wants to be asked for new columns."""
        return any(isinstance(gate, SchemaGate) for gate in self._gates.values())

    def check(self, name: str, package: Any, run: Run) -> list[LoadDecision]:
        """What a gate says of a package, the hardest first.

        Raises:
            Veto: The gate raised it.
            GateFailed: It raised something else, or answered what is no answer.
        """
        try:
            answer = self._gates[name].check(package, run)
            single = answer is not None and (isinstance(answer, str) or not isinstance(answer, Iterable))
            given = [] if answer is None else [answer] if single else list(answer)
        except (Veto, GateFailed):
            raise
        except Exception as error:
            raise GateFailed(name, f"package {package.load_id}", error) from error
        for one in given:
            if not isinstance(one, get_args(LoadDecision)):
                raise GateFailed(name, f"package {package.load_id}", TypeError(_no_answer(one, "Stop, Park, Skip")))
        return sorted(given, key=lambda one: (Stop, Park, Skip).index(type(one)))

    def decide(self, change: NewColumn, run: Run) -> tuple[str, SchemaDecision] | None:
        """The first answer to a column that is not to let it be, with the name of the gate.

        Raises:
            Veto: A gate raised it.
            GateFailed: One raised something else, or answered what is no answer.
        """
        for name, gate in self._gates.items():
            if not isinstance(gate, SchemaGate):
                continue
            what = f"column `{change.column}` of table `{change.table}`"
            try:
                answer = gate.decide(change, run)
            except (Veto, GateFailed):
                raise
            except Exception as error:
                raise GateFailed(name, what, error) from error
            if answer is None or isinstance(answer, Accept):
                continue
            if not isinstance(answer, get_args(SchemaDecision)):
                raise GateFailed(name, what, TypeError(_no_answer(answer, "Accept, Drop, Retype, Freeze")))
            if isinstance(answer, Retype) and answer.data_type not in get_args(TDataType):
                known = ", ".join(sorted(get_args(TDataType)))
                raise GateFailed(name, what, ValueError(f"`{answer.data_type}` is none of the data types: {known}"))
            return name, answer
        return None


def _no_answer(answer: object, known: str) -> str:
    return f"the answer {answer!r} is none of: None, {known}"


class Broken:
    """Stands for a gate that could not be made: nothing passes it.

    Args:
        name: What was asked for.
        error: Why it could not be made.
    """

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self._error = name, error

    def check(self, package: Any, run: Run) -> Answer:
        """Raises `GateFailed`."""
        raise GateFailed(self.name, f"package {package.load_id}: it could not be made", self._error)

    def decide(self, change: NewColumn, run: Run) -> SchemaDecision | None:
        """Raises `GateFailed`."""
        what = f"column `{change.column}` of table `{change.table}`: it could not be made"
        raise GateFailed(self.name, what, self._error)
