"""A synthetic company that writes files in the real source formats, at any scale."""
