"""feedd keeps product catalogs in step with the feeds they come from, and says what changed."""

__version__ = "0.1.0"
