"""The HTTP API: JSON:API documents over the App. To add a resource: a module with a router, and its line in ROUTES."""

from feedd.api.server import create_api

__all__ = ["create_api"]
