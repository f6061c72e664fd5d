# The daemon and the command line. Nothing is fetched when the container runs.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked -p outcome-runtimed -p outcome-runtime \
    && install -D -t /out target/dist/outcome-runtimed target/dist/outcome-runtime

FROM debian:bookworm-slim
# git is needed to check builds; certificates are needed for databases and services behind TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
# The home of the account, for a volume: with the sticky bit, since compose may run as another user.
RUN install -d -m 1777 /home/outcome
COPY --chmod=755 crates/daemon/health.sh /usr/local/bin/outcome-runtimed-health
ENV HOME=/home/outcome
USER 1000:1000
WORKDIR /workspace
EXPOSE 8787
STOPSIGNAL SIGTERM
CMD ["outcome-runtimed", "--listen", "0.0.0.0:8787"]
