"""One file a command that takes more than parsing and one call. They return text or numbers; `cli.py` prints."""
