"""The scenario: its document, the catalogue of parameters, distributions and correlations, and how they are checked.

Expressions over the trials' columns, and the vocabulary of outcomes, events and measures, stand here too.
"""
