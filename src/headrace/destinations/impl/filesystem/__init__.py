"""Tables as folders of files: local, in an object store, on a server."""
