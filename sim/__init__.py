"""The dispute model and its statistics: arrays and pure functions; no files, clocks or networks.

`scenario` is the document, `sampling` draws parameter points and chance, `model` plays the weeks, and `statistics`
turns played trials into estimates.
"""
