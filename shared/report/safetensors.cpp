#include <bit>
#include <functional>
#include <numeric>

#include <nlohmann/json.hpp>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/report/records.h"

namespace blindsum::report {

void write_safetensors(const std::filesystem::path& path, const std::vector<Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t bytes = 0;
  for (const Tensor& tensor : tensors) {
    const std::size_t values = std::accumulate(tensor.shape.begin(), tensor.shape.end(),
                                               std::size_t{1}, std::multiplies<>());
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

}  // namespace blindsum::report
