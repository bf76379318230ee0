"""Bytes under names: a local folder or an object store."""
