"""Run ids: UUIDs of version 7 that several processes find for the same run without talking to each other.

The algorithm is the one of ``openlineage.client.uuid.generate_static_uuid`` (OpenLineage Python client 1.15 and later),
so that others who know a package find the same ids; RFC 9562, 5.7 gives the layout.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from uuid import UUID

_LOW_76 = (1 << 76) - 1


def static_run_id(instant: dt.datetime, data: str) -> str:
    """The run id for an instant and a name: the same arguments always give the same id.

    Args:
        instant: When the run, or what it belongs to, began; aware.
        data: What makes the run unique at this instant.
    """
    moment = instant.astimezone(dt.timezone.utc)
    digest = hashlib.sha1(moment.isoformat().encode() + data.encode(), usedforsecurity=False).digest()
    return str(_version_7(moment, int.from_bytes(digest, "big") >> 84))


def new_run_id(instant: dt.datetime) -> str:
    """A run id that nobody else has."""
    return str(_version_7(instant, secrets.randbits(76)))


def resource_run_id(
    created_at: dt.datetime, namespace: str, pipeline: str, source: str, resource: str, load_id: str
) -> str:
    """The id of the run of a resource in a load package.

    Args:
        created_at: When the package was made: the instant of its `PackageCreated`.
        namespace: Of the job.
        pipeline: The pipeline's name.
        source: The source's name.
        resource: The resource's name.
        load_id: The package.
    """
    return static_run_id(created_at, f"{namespace}.{pipeline}.{source}.{resource}.{load_id}")


def invocation_run_id(started_at: dt.datetime, namespace: str, pipeline: str, run_id: str) -> str:
    """The id of an invocation: of `Pipeline.run`, or of a step called on its own.

    Args:
        started_at: The instant of its `RunStarted`.
        namespace: Of the job.
        pipeline: The pipeline's name.
        run_id: The id that headrace itself gave the run.
    """
    return static_run_id(started_at, f"{namespace}.{pipeline}.{run_id}")


def _version_7(instant: dt.datetime, node: int) -> UUID:
    milliseconds = int(instant.timestamp() * 1000)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | (node & _LOW_76)
    value &= ~(0xF << 76 | 0x3 << 62)
    return UUID(int=value | 7 << 76 | 0x2 << 62)
