"""How templates see the catalog and its changes: questions in, JSON out, all as of one position of the change stream."""
