"""The third room: from loader files to tables, by a static plan of idempotent jobs."""
