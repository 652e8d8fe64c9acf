"""DuckDB: tables in a file."""
