"""Secrets are planted everywhere, runs go well and wrong, and all that was produced is searched for them."""
