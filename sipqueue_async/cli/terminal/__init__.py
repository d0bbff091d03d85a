"""Output for people: lines, tables, and the full screen of ``sipqueue top``."""
