"""Scripts that ``headrace init`` begins with: real code, in which names are replaced (see `scaffold`)."""
