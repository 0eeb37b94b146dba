"""Generated protobuf and gRPC stubs of the Tierway contract; see `tierway.v1`."""
