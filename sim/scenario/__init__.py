"""The scenario: its document, parameters, distributions, and the words in which trials are described."""
