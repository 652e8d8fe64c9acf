"""Destinations, one package each; `headrace.destinations` has their factories."""
