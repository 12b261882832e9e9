"""Quoting for the few statements that take no parameters (ATTACH, COPY, COMMENT, CREATE TABLE names)."""


def quote_identifier(name: str) -> str:
    """`name` as a SQL identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: str) -> str:
    """`value` as a SQL string literal, whatever characters it holds."""
    return "'" + value.replace("'", "''") + "'"
