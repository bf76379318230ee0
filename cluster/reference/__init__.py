"""Reference classes of past threats: their episodes and base rates, and how a forecast compares with its class."""
