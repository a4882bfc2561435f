// What a container's health check runs (`adtrackd --check-health`): a client that asks the server of the same settings for /healthz
// over loopback. Over TLS the certificate is not verified, as it names the node, not this address. One call, no threads.
#pragma once

#include <cstdint>
#include <string>

namespace adtrack::http {

// "" when `host`:`port` answers 200 within about `timeout_ms`, else why not. A host that binds every address is asked on loopback.
std::string check_health(const std::string& host, uint16_t port, bool tls, int64_t timeout_ms);

} // namespace adtrack::http
