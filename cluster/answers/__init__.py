"""The answers that can be computed from a stored run: the registry, the form of an entry, and one module an answer.

A part that only one answer needs stands in a module whose name begins with the answer's, such as `drivers_variance`.
"""
