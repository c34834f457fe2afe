"""mathsynth makes supervised fine-tuning data for mathematical reasoning.

Imports nothing, so that `mathsynth --help` and `import mathsynth.verifier` stay light.
"""

__version__ = "0.1.0"
