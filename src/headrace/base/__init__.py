"""The ground floor: JSON, time, ids, files. Knows nothing of loading data."""
