"""What the service tells of itself. `semconv` owns every name, `metrics` every number."""
