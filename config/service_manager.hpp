// Tells a service manager such as systemd how the process is: READY=1, STOPPING=1 and the like, one datagram to the socket that
// NOTIFY_SOCKET names (sd_notify(3)'s protocol). Without that variable nobody asked and nothing is done. Never blocks.
#pragma once

#include <string>
#include <string_view>

namespace adtrack::config {

// "" when it was told, or nobody asked; else a sentence that says why it could not be.
[[nodiscard]] std::string tell_service_manager(std::string_view state);

} // namespace adtrack::config
