"""Destinations that misbehave at the seam: real ones, whose clients are tampered with.

All of them change what `Destination.open` of one object gives; the object is the caller's own and stays changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from headrace.errors.destination import DestinationTerminalException, DestinationTransientException

if TYPE_CHECKING:
    from headrace.load.destination import Applied, Client, Destination, LoadContext
    from headrace.model.jobs import AnyJob

TDestination = TypeVar("TDestination", bound="Destination")


def tampered(destination: TDestination, tamper: Callable[[Client, Callable[[], Client]], None]) -> TDestination:
    """Change every client of a destination before it is used.

    Args:
        destination: Changed in place.
        tamper: Gets the client, not entered, and a function that makes another one like it.
    """
    original = destination.open

    def opened(dataset_name: str, schema: Any, pipeline: Any = None) -> Client:
        client = original(dataset_name, schema, pipeline)
        tamper(client, lambda: original(dataset_name, schema, pipeline))
        return client

    destination.open = opened  # type: ignore[method-assign]
    return destination


def twice(destination: TDestination) -> TDestination:
    """Let clients do all that changes anything twice: jobs once more on the same session and once on a new one.

    By the promise of `Client.apply` that makes no difference.
    """

    def tamper(client: Client, another: Callable[[], Client]) -> None:
        migrate, apply, complete, store = client.migrate, client.apply, client.complete, client.store_schema

        def apply_again(job: AnyJob, context: LoadContext) -> Applied:
            first = apply(job, context)
            again = apply(job, context)
            with another() as other:
                third = other.apply(job, context)
            # who writes the same files again, or rows under the same keys, moves them again, with the effect of once
            if destination.capabilities().idempotency == "transaction":
                assert (again.rows, third.rows) == (0, 0), (
                    f"job {context.key(job)} moved rows when it was applied again"
                )
            return msgspec.structs.replace(first, changes=third.changes or first.changes)

        def complete_again(context: LoadContext) -> Any:
            joined = complete(context)
            complete(context)
            return joined

        client.migrate = lambda changes: (migrate(changes), migrate(changes))[1]  # type: ignore[method-assign]
        client.apply = apply_again  # type: ignore[method-assign]
        client.complete = complete_again  # type: ignore[method-assign]
        client.store_schema = lambda schema: (store(schema), store(schema))[1]  # type: ignore[method-assign]

    return tampered(destination, tamper)


class Faults:
    """Errors that come when a client's method is called, before it does its work or after it has done it.

    Args:
        method: Of `Client`: ``apply``, ``complete``, ``migrate``, …
        times: How many calls fail; later ones are as ever.
        after: Fail when the work is done: the answer is lost, not the request.
        terminal: The error says that trying again is pointless.

    Attributes:
        calls: How many calls there were.
    """

    def __init__(self, method: str = "apply", times: int = 1, *, after: bool = False, terminal: bool = False) -> None:
        self.method, self.times, self.after = method, times, after
        self.error = DestinationTerminalException if terminal else DestinationTransientException
        self.calls = 0

    def into(self, destination: TDestination) -> TDestination:
        """Let a destination's clients have them."""

        def tamper(client: Client, another: Callable[[], Client]) -> None:
            original = getattr(client, self.method)

            def faulty(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                fails = self.calls <= self.times
                if fails and not self.after:
                    raise self.error(f"{self.method} was made to fail")
                done = original(*args, **kwargs)
                if fails:
                    raise self.error(f"the answer of {self.method} was lost")
                return done

            setattr(client, self.method, faulty)

        return tampered(destination, tamper)


def refuse(destination: TDestination) -> TDestination:
    """Let every job be refused for good."""
    return Faults(times=2**31, terminal=True).into(destination)
