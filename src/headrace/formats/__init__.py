"""Files of rows: the spool between extract and normalize, and the loader files."""
