"""How much of what stands around the records of a document is kept. Pure."""

MAX_BYTES = 8 * 1024 * 1024
MAX_VALUES = 100_000
MAX_VALUE_BYTES = 64 * 1024
