"""Fetches feeds: HTTP and HTTPS with every limit in force, and files below the configured roots; sends to webhooks."""

from feedd.fetch.fetcher import Fetcher
from feedd.fetch.request import Fetched, FetchRequest, Known

__all__ = ["FetchRequest", "Fetched", "Fetcher", "Known"]
