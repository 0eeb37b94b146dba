"""Measures Tierway: what it costs to decide, to carry, to answer."""
