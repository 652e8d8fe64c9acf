"""Names of datasets, by https://openlineage.io/docs/spec/naming and, where it is silent, by docs/lineage/naming.md.

Pure functions of structured locations: nothing is opened, asked or looked up. ::

    place = destination.location(dataset_name, facts)          # on the pipeline's thread; None: no dataset
    output = naming.output(place, "users", source_name="duckdb")  # anywhere
    read = extracted.inputs[0]                                 # `ResourceInputs`; a resource that told nothing has none
    inputs = naming.inputs(read.locations, fields)             # fields: `columns_shape.input_fields`
    namespaces = naming.Namespaces({"postgres://localhost:5432": "postgres://db.example.com:5432"})
    output = namespaces.apply(output)                          # last, to every dataset
"""

from __future__ import annotations

from headrace.observers.lineage.naming.namespaces import Namespaces
from headrace.observers.lineage.naming.outputs import output
from headrace.observers.lineage.naming.queries import of_queries
from headrace.observers.lineage.naming.reading import inputs

__all__ = ["Namespaces", "inputs", "of_queries", "output"]
