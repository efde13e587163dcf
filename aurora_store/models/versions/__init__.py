"""The revisions of the model's tables, one a file."""
