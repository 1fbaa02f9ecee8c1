"""The filters that Django has not, and bounded ones in place of some that it has. To add one: see `feedd.templates.library`."""
