"""The second room: spooled rows become loader files, and the schema is decided."""
