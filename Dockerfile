# Every image of the platform: docker build --build-arg SERVICE=patient-service -t patient-service .
# `--target operator`, `hpctl` and `dev` make the others. A proxy's CA comes in as `--secret id=ca,src=ca.pem`.
ARG BASE_IMAGE=python:3.13-slim

# The lock and the members' metadata alone, so that a change of code leaves the layers of the libraries as they are.
FROM ${BASE_IMAGE} AS manifests
WORKDIR /source
COPY . .
RUN mkdir /manifests && find . \( -name pyproject.toml -o -name uv.lock \) -exec cp --parents {} /manifests \;

FROM ${BASE_IMAGE} AS uv
ARG UV_VERSION=0.13.9
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/pip \
    if [ -s /run/secrets/ca.pem ]; then export PIP_CERT=/run/secrets/ca.pem; fi; \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --disable-pip-version-check "uv==${UV_VERSION}"
# For `strip`, of whichever version the base's distribution has: nothing of it reaches an image.
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils && rm -rf /var/lib/apt/lists
ENV PATH=/opt/uv/bin:$PATH UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 \
    UV_PROJECT_ENVIRONMENT=/app/.venv UV_NO_PROGRESS=1
WORKDIR /app
COPY docker/slim.sh /usr/local/bin/slim.sh

# What all services need: one layer, shared by their images.
FROM uv AS shared
COPY --from=manifests /manifests /app
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca.pem ]; then export SSL_CERT_FILE=/run/secrets/ca.pem; fi; \
    uv sync --frozen --no-dev --no-install-workspace --package chassis && slim.sh .venv

FROM shared AS service-build
ARG SERVICE
COPY . /app
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca.pem ]; then export SSL_CERT_FILE=/run/secrets/ca.pem; fi; \
    touch /started && uv sync --frozen --no-dev --no-editable --inexact --package "${SERVICE}" \
    && mkdir /added && find .venv \( -type f -o -type l \) -cnewer /started -exec cp -a --parents {} /added \; \
    && slim.sh /added \
    && printf '#!/bin/sh\nexec python -m %s "$@"\n' "${SERVICE%%-*}_${SERVICE#*-}" > /added/run && chmod 755 /added/run

FROM uv AS operator-build
COPY . /app
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca.pem ]; then export SSL_CERT_FILE=/run/secrets/ca.pem; fi; \
    # Not compiled: 12 MB less for half a second of a start that is rare.
    UV_COMPILE_BYTECODE=0 uv sync --frozen --no-dev --no-editable --package healthcare-operator \
    # Wheels hold no links: Helm's library comes three times.
    && for copy in .venv/lib/python3*/site-packages/helm_python/lib/libhelm_c.so.*; do ln -sf libhelm_c.so "${copy}"; done \
    # The operator sends plain objects: of the generated clients it needs the connection, and no class for any kind.
    && find .venv/lib/python3*/site-packages/kubernetes -type f \( -path '*/client/models/*' -o -path '*/client/api/*' \) \
        ! -name '__init__*' -delete \
    && slim.sh .venv

# The command line without the embedded servers: a container has others to talk to.
FROM shared AS hpctl-build
COPY . /app
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca.pem ]; then export SSL_CERT_FILE=/run/secrets/ca.pem; fi; \
    touch /started && uv sync --frozen --no-dev --no-editable --inexact --package hpctl \
    && mkdir /added && find .venv \( -type f -o -type l \) -cnewer /started -exec cp -a --parents {} /added \; \
    && slim.sh /added

# What `DEBUG_PORT` needs.
FROM shared AS debug-build
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca.pem ]; then export SSL_CERT_FILE=/run/secrets/ca.pem; fi; \
    touch /started && uv sync --frozen --no-dev --no-install-workspace --inexact --package chassis --extra debug \
    && mkdir /added && find .venv \( -type f -o -type l \) -cnewer /started -exec cp -a --parents {} /added \;

FROM ${BASE_IMAGE} AS runtime
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
LABEL org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.vendor="Healthcare Platform"

FROM runtime AS hpctl
COPY --from=shared /app/.venv /app/.venv
COPY --from=hpctl-build /added /app
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title=hpctl \
      org.opencontainers.image.description="The platform's command line" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 10001:10001
ENTRYPOINT ["hpctl"]
CMD ["--help"]

FROM runtime AS operator
COPY --from=operator-build /app/.venv /app/.venv
COPY monitoring /app/monitoring
COPY charts /app/charts
ARG VERSION=0.1.0
ARG REVISION=unknown
# kopf asks for the name of its user, and user 10001 has none in /etc/passwd.
ENV CHARTS_DIR=/app/charts USER=operator APP_VERSION=${VERSION}
LABEL org.opencontainers.image.title=healthcare-operator \
      org.opencontainers.image.description="Reconciles HealthcarePlatform resources" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 10001:10001
CMD ["python", "-m", "healthcare_operator"]

FROM runtime AS service
COPY --from=shared /app/.venv /app/.venv
COPY docker/healthcheck.py /app/healthcheck.py
ARG SERVICE
COPY --from=service-build /added /app
ARG VERSION=0.1.0
ARG REVISION=unknown
ENV SERVICE=${SERVICE} APP_VERSION=${VERSION}
LABEL org.opencontainers.image.title=${SERVICE} \
      org.opencontainers.image.description="One service of the healthcare platform" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=5s --start-period=180s --retries=6 CMD ["python", "-I", "-S", "/app/healthcheck.py"]
CMD ["/app/run"]

# The service with its packages where they can be replaced while it runs: the inner loop's target, never a release's.
FROM service AS dev
COPY --from=debug-build /added /app
COPY docker/live.py /app/live/sitecustomize.py
ENV PYTHONPATH=/app/live

FROM service
