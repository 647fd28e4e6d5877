// Logging of the roles: lines for people, on standard error. Libraries below the roles do not log.
#pragma once

#include <string>
#include <string_view>

namespace blindsum {

// start_log makes spdlog's default logger write "<time> <level> <role> <text>" to standard error.
// `level` is one of trace, debug, info, warn, error, off. Throws ConfigError for another word.
void start_log(std::string_view role, std::string_view level = "info");

}  // namespace blindsum
