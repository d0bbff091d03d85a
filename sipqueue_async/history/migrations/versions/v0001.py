"""The first version."""

from sipqueue_async.history.migrations.first_schema import upgrade

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None
