"""SQLAlchemy: SQLite, MySQL and MariaDB, and other databases by their SQLAlchemy dialects."""
