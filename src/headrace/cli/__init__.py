"""The command line: ``headrace`` and ``python -m headrace``.

Commands parse arguments, call what a script could call too, and print. They are loaded one by one, so that a short
command answers at once.
"""
