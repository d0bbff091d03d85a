"""The migrations of the schema, applied by Alembic when a history is opened."""
