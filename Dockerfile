# syntax=docker/dockerfile:1
# Three targets: `wheels` (both distributions), `runtime-cpu` (vLLM's CPU build and the embedded model), `runtime-vllm` (GPU).
#   docker build --target runtime-cpu -t tierway:cpu .
# Every step is one that the Makefile runs on a bare machine too. No credential is needed or kept at build time.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# ---------------------------------------------------------------------------------------------------------------- wheels
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS wheels
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The pinned packages first: they change seldom, and their layer is the expensive one.
COPY Makefile ./
COPY scripts scripts
COPY requirements requirements
RUN make packages VENV=/opt/tierway TORCH_INDEX_URL="${TORCH_INDEX_URL}"
COPY LICENSE README.md pyproject.toml setup.py ./
COPY router_core router_core
COPY server server
COPY bench bench
COPY clients clients
RUN make dist VENV=/opt/tierway

# ----------------------------------------------------------------------------------------------------------- runtime-cpu
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS runtime-cpu
# vLLM's CPU build links OpenMP and NUMA, and compiles small kernels when it starts.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ gcc libc6-dev libgomp1 libnuma1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 tierway
COPY --from=wheels /opt/tierway /opt/tierway
RUN --mount=type=bind,from=wheels,source=/src/dist,target=/dist \
    /opt/tierway/bin/pip install --no-cache-dir --no-deps /dist/*.whl
ENV PATH=/opt/tierway/bin:${PATH} \
    TIERWAY_CACHE=/var/lib/tierway
RUN install -d -o tierway -g tierway /var/lib/tierway
USER 10001
RUN python -m tierway_server.backends.embedded_model
EXPOSE 50051 50052 8020
# An engine takes 20 to 30 s to start; until then the process is alive, and /health says so.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8020/health', timeout=2)"]
ENTRYPOINT ["tierway", "serve"]
# The administrative port stays on loopback.
CMD ["--listen", "0.0.0.0:50051", "--http-listen", "0.0.0.0:8020"]

# ---------------------------------------------------------------------------------------------------------- runtime-vllm
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS runtime-vllm
# CUDA's libraries come as wheels with torch; the driver comes from the host. Triton compiles kernels with gcc.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ gcc libc6-dev libgomp1 libnuma1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 tierway \
    && python -m venv /opt/tierway
RUN --mount=type=bind,from=wheels,source=/src/dist,target=/dist \
    /opt/tierway/bin/pip install --no-cache-dir --find-links /dist "tierway[vllm]"
ENV PATH=/opt/tierway/bin:${PATH} \
    TIERWAY_CACHE=/var/lib/tierway
RUN install -d -o tierway -g tierway /var/lib/tierway
USER 10001
RUN python -m tierway_server.backends.embedded_model
EXPOSE 50051 50052 8020
HEALTHCHECK --interval=10s --timeout=3s --start-period=180s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8020/health', timeout=2)"]
ENTRYPOINT ["tierway", "serve"]
CMD ["--listen", "0.0.0.0:50051", "--http-listen", "0.0.0.0:8020"]
