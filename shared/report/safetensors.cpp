#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <numeric>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/report/records.h"

namespace blindsum::report {
namespace {

std::size_t values_in(const std::vector<std::size_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

// has_values says whether a tensor of `shape` has `count` values; of a shape from outside the
// product may exceed every integer.
bool has_values(const std::vector<std::size_t>& shape, std::size_t count) {
  std::size_t values = 1;
  for (const std::size_t size : shape) {
    if (__builtin_mul_overflow(values, size, &values)) {
      return count == 0 && std::find(shape.begin(), shape.end(), 0) != shape.end();
    }
  }
  return values == count;
}

bool are_whole(const nlohmann::json& list) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [](const nlohmann::json& item) {
           return item.is_number_unsigned();
         });
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t bytes = 0;
  for (const Tensor& tensor : tensors) {
    const std::size_t values = values_in(tensor.shape);
    if (values != tensor.values.size()) {
      throw Error("tensor '" + tensor.name + "' has " + std::to_string(tensor.values.size()) +
                  " values, its shape needs " + std::to_string(values));
    }
    if (tensor.name == "__metadata__" || header.contains(tensor.name)) {
      throw Error("tensor '" + tensor.name + "': this name is taken");
    }
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {bytes, bytes + 4 * values}}};
    bytes += 4 * values;
  }

  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8,
              ' ');  // data aligned to 8 bytes, as the format's own writer does
  Bytes file;
  file.reserve(8 + text.size() + bytes);
  append_le64(file, text.size());
  file.insert(file.end(), text.begin(), text.end());
  for (const Tensor& tensor : tensors) {
    for (const float value : tensor.values) append_le32(file, std::bit_cast<std::uint32_t>(value));
  }
  write_file_atomic(path, ByteView(file));
}

Tensors read_safetensors(const std::filesystem::path& path) {
  const Bytes file = read_file(path);
  const auto require = [&](bool is_right, const std::string& what) {
    if (!is_right) throw DecodeError(path.string() + ": not a safetensors file: " + what);
  };
  require(file.size() >= 8, "it has no header");
  const std::uint64_t header_bytes = read_le64(file, 0);
  require(header_bytes <= file.size() - 8, "the header is longer than the file");
  const auto text = reinterpret_cast<const char*>(file.data() + 8);
  const auto header = nlohmann::json::parse(text, text + header_bytes, nullptr, false);
  require(header.is_object(), "the header is not a JSON object");

  Tensors content;
  const std::size_t begin = 8 + header_bytes;
  std::map<std::size_t, std::pair<Tensor, std::size_t>> by_offset;  // with the end of its data
  try {
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        entry.get_to(content.metadata);
        continue;
      }
      require(entry.at("dtype") == "F32", "tensor '" + name + "' is not F32");
      require(are_whole(entry.at("data_offsets")) && entry.at("data_offsets").size() == 2 &&
                  are_whole(entry.at("shape")),
              "tensor '" + name + "' has no shape or offsets of whole numbers");
      const auto offsets = entry.at("data_offsets").get<std::array<std::size_t, 2>>();
      Tensor tensor{name, entry.at("shape").get<std::vector<std::size_t>>(), {}};
      require(offsets[0] <= offsets[1] && offsets[1] <= file.size() - begin,
              "tensor '" + name + "' lies outside the file");
      require((offsets[1] - offsets[0]) % 4 == 0 &&
                  has_values(tensor.shape, (offsets[1] - offsets[0]) / 4),
              "tensor '" + name + "' does not have the size that its shape needs");
      // An empty tensor shares its offset with the one that follows.
      if (offsets[0] == offsets[1]) {
        content.tensors.push_back(std::move(tensor));
        continue;
      }
      for (std::size_t at = offsets[0]; at < offsets[1]; at += 4) {
        tensor.values.push_back(std::bit_cast<float>(read_le32(file, begin + at)));
      }
      const bool is_new =
          by_offset.emplace(offsets[0], std::pair(std::move(tensor), offsets[1])).second;
      require(is_new, "two tensors share their data");
    }
  } catch (const nlohmann::json::exception& error) {
    require(false, error.what());
  }
  std::size_t end = 0;
  for (auto& [offset, entry] : by_offset) {
    require(offset == end, "the tensors overlap or leave gaps");
    end = entry.second;
    content.tensors.push_back(std::move(entry.first));
  }
  require(end == file.size() - begin, "bytes follow the last tensor");
  return content;
}

}  // namespace blindsum::report
