#include "scenarios/launcher/manifest.h"

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <link.h>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>
#include <unistd.h>

namespace blindsum::launcher {
namespace {

int add_library(struct dl_phdr_info* info, std::size_t, void* names) {
  std::error_code failed;
  const auto path = std::filesystem::canonical(info->dlpi_name, failed);
  if (!failed) static_cast<std::set<std::string>*>(names)->insert(path.filename().string());
  return 0;
}

// value_in returns what follows "key" and a separator on the first line of `path` that begins with
// the key.
std::string value_in(const char* path, const std::string& key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto begin = line.find_first_not_of(" \t\"", line.find(separator) + 1);
    if (begin == std::string::npos) return "";
    return line.substr(begin, line.find_last_not_of('"') + 1 - begin);
  }
  return "";
}

}  // namespace

nlohmann::json build_of() {
  std::set<std::string> libraries;
  dl_iterate_phdr(add_library, &libraries);
  return {{"blindsum", BLINDSUM_VERSION}, {"compiler", __VERSION__}, {"libraries", libraries}};
}

nlohmann::json machine_of() {
  struct utsname system = {};
  uname(&system);
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<double>(sysconf(_SC_PAGE_SIZE)) / (1024 * 1024);
  return {{"cpu", value_in("/proc/cpuinfo", "model name", ':')},
          {"processors", std::thread::hardware_concurrency()},
          {"memory_mib", static_cast<std::int64_t>(memory)},
          {"os", value_in("/etc/os-release", "PRETTY_NAME", '=')},
          {"kernel", std::string(system.sysname) + " " + system.release + " " + system.machine}};
}

std::string utc_now(bool is_compact) {
  const std::time_t now = std::time(nullptr);
  struct tm parts = {};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(),
                                  is_compact ? "%Y%m%dT%H%M%SZ" : "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

}  // namespace blindsum::launcher
