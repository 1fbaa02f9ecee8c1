"""The settings of feedd: what the configuration files, the environment and the command line come to.

`load` reports everything that is wrong at once. Every value is frozen; a reload makes new settings.
"""
