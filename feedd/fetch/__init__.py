"""Fetches feeds: HTTP and HTTPS with every limit in force, and files below the configured roots."""

from feedd.fetch.fetcher import Fetcher
from feedd.fetch.request import Fetched, FetchRequest

__all__ = ["FetchRequest", "Fetched", "Fetcher"]
