"""The revisions of the model's schema."""
