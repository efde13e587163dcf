"""The revisions of the events' schema."""
