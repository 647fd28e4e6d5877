#include "scenarios/launcher/verbs/key_holder_program.h"

#include <cerrno>
#include <cstring>

#include <unistd.h>

#include "scenarios/launcher/run.h"
#include "shared/core/error.h"

namespace blindsum::launcher {

void become_key_holder(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (programs_directory() / "blindsum-keyholder").string());
  std::vector<char*> raw;
  raw.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  throw Error(arguments[0] + ": cannot be started: " + std::strerror(errno));
}

}  // namespace blindsum::launcher
