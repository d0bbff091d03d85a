"""What the commands show to people: lines, tables, and the full screen of ``sipqueue top``."""
