"""The outside view: reference classes of past threats, their rates, and how a scenario compares with its class."""
