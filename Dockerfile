# One image for a node: built and run on the Debian release whose packages adtrack is made from.
#   docker build -t adtrack . && docker run -p 8080:8080 -v adtrack:/var/lib/adtrack adtrack
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/lib.sh scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build
COPY . .
RUN cmake --preset release -DADTRACK_TESTS=OFF && cmake --build --preset release --target adtrackd && strip build/release/adtrackd

FROM debian:bookworm-slim
COPY scripts/lib.sh scripts/install-deps.sh /tmp/scripts/
RUN /tmp/scripts/install-deps.sh run && rm -rf /tmp/scripts /var/lib/apt/lists/* \
  && groupadd --system --gid 10001 adtrack \
  && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin adtrack \
  && install -d -o adtrack -g adtrack -m 0750 /var/lib/adtrack
COPY --from=build /src/build/release/adtrackd /usr/local/bin/adtrackd
COPY --from=build /src/config/adtrackd.toml /etc/adtrack/adtrackd.toml
COPY --from=build /src/LICENSE /usr/share/doc/adtrack/LICENSE
ENV ADTRACK_CONFIG=/etc/adtrack/adtrackd.toml ADTRACK_DATA_DIR=/var/lib/adtrack
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /var/lib/adtrack
EXPOSE 8080
# Over TLS, replace this check by one with https:// and -k. The first start may replay the log; /healthz answers from the moment that the listener is open.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD curl -fsS -o /dev/null "http://127.0.0.1:${ADTRACK_HTTP_PORT:-8080}/healthz"
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/adtrackd"]
