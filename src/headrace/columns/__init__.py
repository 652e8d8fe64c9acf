"""Rows as Arrow columns: documents turned sideways, typed exactly, named, coerced and keyed a batch at a time."""
