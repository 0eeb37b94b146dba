"""What happens to one request: decide, admit, generate along the chain, settle. asyncio only; knows neither gRPC nor vLLM."""
