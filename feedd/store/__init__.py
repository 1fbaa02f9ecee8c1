"""The two databases, on SQLite or PostgreSQL: catalog (feeds, items, changes) and people (API keys).

Database rows never leave this package; frozen structs go in and out.
"""
