"""Bytes under names, in a local folder or an object store; a commit is atomic."""
