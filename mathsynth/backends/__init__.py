"""One file a backend, found by its file name and imported when a recipe names it.

A backend module has a docstring, `class Config(ModelConfig)` and `def connect(config: Config) -> Backend`.
"""
