"""Rendering, from the daemon's side: processes that render, what they are told, and what they ask for."""

from feedd.rendering.renderer import (
    Recipient,
    Rendered,
    Renderer,
    RenderFailed,
    Source,
    Wanted,
)

__all__ = ["Recipient", "RenderFailed", "Rendered", "Renderer", "Source", "Wanted"]
