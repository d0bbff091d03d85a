"""The parts of ``sipqueue forward``: signed webhooks, in order for each destination and at least once."""
