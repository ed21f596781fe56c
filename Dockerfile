# syntax=docker/dockerfile:1
# One image for controller, agent and command line. What it holds is made by scripts/image-root.ts, which tests run too.
#
# Reproducible: npm ci, a version and a hash for everything, SOURCE_DATE_EPOCH for all times. The Node that ships is the one
# of package-lock.json. Of the base image only the C library ships; a tag can be moved to other bytes, so a release build
# names the base by its digest, and the label image.base.name shows what was used:
#   docker buildx build --platform linux/amd64,linux/arm64 --provenance=true \
#     --build-arg BASE=node:26.10.0-bookworm-slim@sha256:… \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
#     --output type=image,rewrite-timestamp=true,push=true -t REGISTRY/maesh/maesh:0.1.0 .

ARG BASE=node:26.10.0-bookworm-slim

# Runs on each platform that is built for, because Node and the C library are of that platform; there is no other such step.
FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY LICENSE tsconfig.json tsconfig.build.json ./
COPY chart ./chart
COPY scripts ./scripts
COPY src ./src
RUN node_modules/.bin/node scripts/image-root.ts /image

# No shell, no package manager, no libraries but those that Node loads.
FROM scratch
ARG BASE
ARG SOURCE_DATE_EPOCH=0
LABEL org.opencontainers.image.title="maesh" \
      org.opencontainers.image.description="A service mesh for Kubernetes without sidecars" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build --chown=0:0 /image /
# As bin/maesh does (test/chart/image.test.ts holds both equal): a proxy is judged by its memory and by its worst requests.
ENV MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=65536 \
    PATH=/usr/bin
USER 65532:65532
EXPOSE 9443/tcp 9000/tcp 5353/udp 5353/tcp
ENTRYPOINT ["/usr/bin/node", "--max-inlined-bytecode-size-cumulative=2000", "--v8-pool-size=4", "--max-semi-space-size=2", "--optimize-for-size", "--single-threaded-gc", "--expose-gc", "--no-warnings", "--disable-sigusr1", "--no-inspect", "--no-inspect-brk", "--no-inspect-wait", "/opt/maesh/dist/cli/main.js"]
CMD ["--help"]
