"""Lineage: the story of every run as OpenLineage events."""
