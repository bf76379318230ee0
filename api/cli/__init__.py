"""The command line ``brink``: the program, the options that commands share, and how tables are printed."""
