"""What data looks like and what may happen to it: data types and pure functions, no input or output."""
