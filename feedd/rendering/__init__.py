"""Rendering, from the daemon's side: processes that render, what they are told, and what they ask for."""

from feedd.rendering.job import Recipient, Source, Wanted
from feedd.rendering.outcomes import Rendered, RenderFailed
from feedd.rendering.renderer import Renderer

__all__ = ["Recipient", "RenderFailed", "Rendered", "Renderer", "Source", "Wanted"]
