"""Where objects lie: one module a store, each with `list_objects` and what opens an object."""
