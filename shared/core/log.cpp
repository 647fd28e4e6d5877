#include "shared/core/log.h"

#include <vector>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "shared/core/error.h"

namespace blindsum {

void start_log(std::string_view role, std::string_view level, const std::filesystem::path& file) {
  const auto chosen = spdlog::level::from_str(std::string(level));
  if (chosen == spdlog::level::off && level != "off") {
    throw ConfigError("no log level is named '" + std::string(level) +
                      "'; use trace, debug, info, warn, error or off");
  }
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_sink_st>()};
  if (!file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_st>(file.string()));
    } catch (const spdlog::spdlog_ex& error) {
      throw ConfigError(error.what());
    }
  }
  auto logger = std::make_shared<spdlog::logger>(std::string(role), sinks.begin(), sinks.end());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc);
  logger->set_level(chosen);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace blindsum
