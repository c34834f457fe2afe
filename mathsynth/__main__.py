"""`python -m mathsynth`."""

from mathsynth.cli import main

main()
