"""gRPC: bytes to domain and back. The only importer of the stubs and of grpc, but for backends that speak gRPC themselves."""
