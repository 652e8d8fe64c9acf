"""deltalake's errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.errors.destination import (
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
)

if TYPE_CHECKING:
    from headrace.destinations.impl.filesystem.tableformats import TablePlace

# the schema of the table or of the rows is at fault, not the moment
_REFUSED = re.compile(
    r"\bschema error\b|invalid (data )?type|unsupported (data )?type|arrow error: cast", re.IGNORECASE
)


@contextmanager
def translated(place: TablePlace) -> Iterator[None]:
    """deltalake's errors as ours."""
    from deltalake.exceptions import DeltaError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError

    doing = f"Delta table `{place.table_name}` of dataset `{place.dataset_name}`"
    try:
        yield
    except TableNotFoundError as error:
        raise DestinationUndefinedEntity(f"{doing} does not exist.", why=str(error)) from error
    except (DeltaProtocolError, SchemaMismatchError) as error:
        raise DestinationTerminalException(f"{doing} cannot be written.", why=str(error)) from error
    except DeltaError as error:
        kind = DestinationTerminalException if _REFUSED.search(str(error)) else DestinationTransientException
        raise kind(f"{doing} could not be written.", why=str(error)) from error
    except OSError as error:
        raise DestinationTransientException(f"{doing} could not be reached.", why=str(error)) from error
    except Exception as error:
        # what deltalake has no class for comes as a bare `Exception`
        if type(error) is not Exception or not _REFUSED.search(str(error)):
            raise
        fix = "Delta does not tell column names by upper and lower case: rename one" if "case" in str(error) else None
        raise DestinationTerminalException(f"{doing} cannot be written.", why=str(error), fix=fix) from error
