"""HTTP beside gRPC, over the same flow."""
