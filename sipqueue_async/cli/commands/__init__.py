"""The commands, a module each: its options, and its work as a coroutine."""
