"""A destination that keeps nothing, and accepts, refuses or fails on demand."""
