"""Programs that measure the library; the small runs of them that the tests make keep them honest."""
