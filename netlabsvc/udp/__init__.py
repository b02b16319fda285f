"""The UDP reflector, its faults, and the prober that measures against it."""
