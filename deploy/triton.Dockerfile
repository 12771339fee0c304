# NVIDIA's Triton with its vLLM backend, the ONNX Runtime backend for the encoder, and what the
# bundled tagger imports.
#   docker build --file deploy/triton.Dockerfile --tag budgetmem-triton .   (from the root)
# Not built by this project: no container engine and no GPU were at hand.
ARG TRITON=26.08

FROM nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS full

FROM nvcr.io/nvidia/tritonserver:${TRITON}-vllm-python-py3 AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# The image with vLLM has that backend and Python's, and no other.
FROM nvcr.io/nvidia/tritonserver:${TRITON}-vllm-python-py3
COPY --from=full /opt/tritonserver/backends/onnxruntime /opt/tritonserver/backends/onnxruntime
# BudgetMem comes without its requirements: numpy and protobuf stay as vLLM wants them.
RUN --mount=from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps /wheels/budgetmem-*.whl \
    && pip install --no-cache-dir "platformdirs>=4" "spacy>=3.8.13,<3.9" "typer>=0.20"
ENV BUDGETMEM_ASSETS=/assets
USER triton-server
# How it is begun is said where it is deployed: compose.yaml, kubernetes/triton.yaml.
EXPOSE 8000 8001 8002
