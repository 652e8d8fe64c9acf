"""Every exception of headrace, grouped by room.

::

    HeadraceException                      errors/base.py
    ├── MissingDependencyException         (also ImportError)
    ├── ValueErrorWithKnownValues …        (also ValueError)
    ├── ConfigurationException             errors/config.py
    ├── SchemaException, NormalizersException   errors/schema.py
    ├── DltSourceException, PipeException  errors/extract.py
    ├── StorageException                   errors/package.py
    ├── NormalizeException                 errors/normalize.py
    ├── DestinationException               errors/destination.py
    └── PipelineException                  errors/pipeline.py

`TerminalException` and `TransientException` are mix-ins that tell whether a retry makes sense.
This module itself only loads the base classes; the rooms import theirs from ``headrace.errors.<room>``.
"""

from headrace.errors.base import (
    ArgumentsOverloadException,
    HeadraceException,
    MissingDependencyException,
    PipelineException,
    SignalReceivedException,
    TerminalException,
    TerminalValueError,
    TransientException,
    TypeErrorWithKnownTypes,
    ValueErrorWithKnownValues,
)

__all__ = [
    "ArgumentsOverloadException",
    "HeadraceException",
    "MissingDependencyException",
    "PipelineException",
    "SignalReceivedException",
    "TerminalException",
    "TerminalValueError",
    "TransientException",
    "TypeErrorWithKnownTypes",
    "ValueErrorWithKnownValues",
]
