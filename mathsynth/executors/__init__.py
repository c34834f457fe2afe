"""One file a way of running a step: where its records go, never what a stage does with them."""
