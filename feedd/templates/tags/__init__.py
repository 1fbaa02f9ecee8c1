"""The tags that Django has not. To add one: see `feedd.templates.library`."""
