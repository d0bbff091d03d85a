"""Programs that measure the library. The tests run each one at a small size, so that it keeps working."""
