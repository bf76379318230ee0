"""The commands of ``brink``, a module each: its options and how its result is printed."""
