"""The documentation, and the program that generates part of its pages."""
