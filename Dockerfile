# The image of a node, of what its program needs and nothing else: no shell, no package manager, not root. It is built on the Debian
# release whose packages adtrack is made from.
#   docker build -t adtrack . && docker run -p 8080:8080 -v adtrack:/var/lib/adtrack adtrack
# ROOT: the stage, or another image, whose folder /image becomes the image.
ARG ROOT=build

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/lib.sh scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build && scripts/install-deps.sh run
COPY . .
RUN cmake --preset release -DADTRACK_TESTS=OFF && cmake --build --preset release --target adtrackd
RUN scripts/image-root.sh build/release/adtrackd /image

FROM ${ROOT} AS root

FROM scratch
COPY --from=root /image/ /
ENV ADTRACK_CONFIG=/etc/adtrack/adtrackd.toml ADTRACK_DATA_DIR=/var/lib/adtrack SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/adtrack
VOLUME /var/lib/adtrack
EXPOSE 8080
# With the server's own variables, so that it finds port and TLS; settings given as flags it does not see. The first start may replay the
# log; /healthz answers from the moment that the listener is open.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["/usr/local/bin/adtrackd", "--check-health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/adtrackd"]
