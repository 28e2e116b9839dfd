"""The parts of the stack: one ComponentResource a file, each deployed into one cluster."""
