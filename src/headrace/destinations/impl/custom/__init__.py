"""Destinations that are functions of the user."""
