"""Load packages: immutable files, one journal, three commit points."""
