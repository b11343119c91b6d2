# docker build -t mmstreet .                        without a GPU and without instance segmentation; a few minutes
# docker build -t mmstreet:cuda --target cuda .     for NVIDIA GPUs, with instance segmentation; compiles mmcv, half an hour
# docker run --rm -v "$PWD:/work" mmstreet predict photos/     (with --gpus all for the second)
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS compiled
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-dev python3-venv g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mmstreet
COPY . .
# No GPU is visible while an image is built, so mmcv is told to compile for one, and for which.
ENV FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST="8.0;8.6;8.9;9.0+PTX"
RUN tools/setup_env.sh onedl /opt/venv

FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04 AS cuda
RUN apt-get update && apt-get install -y --no-install-recommends python3 libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
COPY --from=compiled /opt/venv /opt/venv
COPY --from=compiled /opt/mmstreet /opt/mmstreet
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /work
ENTRYPOINT ["mmstreet"]

FROM python:3.11-slim AS cpu
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mmstreet
COPY constraints constraints
RUN pip install --no-cache-dir -c constraints/onedl.txt --index-url https://download.pytorch.org/whl/cpu torch
COPY . .
RUN pip install --no-cache-dir -c constraints/onedl.txt ".[all]"
WORKDIR /work
ENTRYPOINT ["mmstreet"]
