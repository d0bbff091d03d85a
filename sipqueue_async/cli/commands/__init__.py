"""The commands. Each module holds one command: its options, and its work as a coroutine."""
