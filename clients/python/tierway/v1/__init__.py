"""The generated stubs of the contract `tierway.v1` (protos/tierway/v1; `make gen`)."""
