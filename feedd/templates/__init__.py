"""Templates in Django's syntax, rendered in a process of their own: values in, text out.

Nothing here is imported by the daemon but `wire`: Django and what else renders live in the worker (`feedd.templates.worker`).
"""
