"""The synthetic company: files in the real source formats, with what makes them hard, at any scale."""
