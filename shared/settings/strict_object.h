// Reading JSON objects in which every key is known; private to this folder.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/wire/messages.h"

namespace blindsum::settings {

using nlohmann::json;

// StrictObject reads a JSON object every key of which must be taken.
class StrictObject {
 public:
  StrictObject(const json& object, std::string name) : object_(&object), name_(std::move(name)) {
    if (!object.is_object()) throw ConfigError(name_ + ": an object is expected");
  }

  [[nodiscard]] std::string name_of(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  }

  const json& take(std::string_view key) {
    const auto found = object_->find(key);
    if (found == object_->end()) throw ConfigError(name_of(key) + ": is missing");
    ++taken_;
    return *found;
  }

  std::string text(std::string_view key) {
    const json& value = take(key);
    if (!value.is_string()) throw ConfigError(name_of(key) + ": text is expected");
    return value.get<std::string>();
  }

  // end throws when the object has a key that was not taken; `keys` are those that were.
  void end(std::initializer_list<std::string_view> keys) const {
    if (taken_ == object_->size()) return;
    for (const auto& [key, value] : object_->items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        throw ConfigError("unknown key '" + name_of(key) + "'");
      }
    }
  }

 private:
  const json* object_;
  std::string name_;
  std::size_t taken_ = 0;
};

// with_name runs `read` and names the key in the DecodeError or ConfigError that it throws.
template <class Read>
auto with_name(const std::string& name, Read read) {
  try {
    return read();
  } catch (const Error& error) {
    throw ConfigError(name + ": " + error.what());
  }
}

// read_json_file runs `read` on the JSON file's content. Throws ConfigError, which names the file.
template <class Read>
auto read_json_file(const std::filesystem::path& path, std::size_t max_bytes, Read read) {
  try {
    return read(json::parse(read_text_file(path, max_bytes)));
  } catch (const json::exception& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const ConfigError& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const Error& error) {  // unreadable: the message names the path
    throw ConfigError(error.what());
  }
}

// peer_named reads the name of a peer; `where` is the key that errors name.
inline wire::Peer peer_named(const std::string& where, const std::string& name) {
  return with_name(where, [&] { return wire::peer_from_string(name); });
}

// read_hex reads the bytes of `out` as hexadecimal digits.
template <std::size_t N>
void read_hex(StrictObject& object, std::string_view key, std::array<std::uint8_t, N>& out) {
  const Bytes bytes = with_name(object.name_of(key), [&] { return from_hex(object.text(key)); });
  if (bytes.size() != N) {
    throw ConfigError(object.name_of(key) + ": " + std::to_string(2 * N) +
                      " hexadecimal digits are expected");
  }
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

}  // namespace blindsum::settings
