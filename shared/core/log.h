// Logging of the roles: lines for people, on standard error. Libraries below the roles do not log.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace blindsum {

// start_log makes spdlog's default logger write "<time> <level> <role> <text>" to standard error
// and, when `file` is given, appends it to that file too. `level` is one of trace, debug, info,
// warn, error, off. Throws ConfigError for another word, or when the file cannot be opened.
void start_log(std::string_view role, std::string_view level = "info",
               const std::filesystem::path& file = {});

}  // namespace blindsum
