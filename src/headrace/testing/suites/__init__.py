"""The suite's parts, a theme each."""
