"""The scheduler's model."""

from pathlib import Path

from aurora_store.migrations.operations import execute_file

revision = "model_0001"
down_revision = None
branch_labels = "model"
compatible = True  # tables that software does not know are in nobody's way


def upgrade() -> None:
    # What is there stays: the tables may have been made before there were revisions.
    execute_file(Path(__file__).with_suffix(".sql"))
