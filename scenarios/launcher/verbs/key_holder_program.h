// The verbs that handle secret keys belong to blindsum-keyholder.
#pragma once

#include <string>
#include <vector>

namespace blindsum::launcher {

// become_key_holder replaces this program by blindsum-keyholder: the launcher itself handles no
// secret key. Throws Error when that cannot be started.
[[noreturn]] void become_key_holder(std::vector<std::string> arguments);

}  // namespace blindsum::launcher
