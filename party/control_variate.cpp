#include "party/control_variate.h"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"

namespace blindsum::party {
namespace {

constexpr std::string_view kMagic = "blindsum control variate 1\n";

void append(Bytes& bytes, const std::vector<float>& values) {
  for (const float value : values) append_le32(bytes, std::bit_cast<std::uint32_t>(value));
}

bool write_all(int file, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

ControlVariate::ControlVariate(const wire::RunId& run, std::uint32_t party, std::size_t parameters,
                               std::filesystem::path file)
    : run_(run),
      party_(party),
      file_(std::move(file)),
      values_(parameters, 0.0F),
      proposed_(parameters, 0.0F) {
  if (!file_.empty() && std::filesystem::exists(file_)) load();
}

const std::vector<float>& ControlVariate::at_round(std::uint32_t round) {
  if (proposed_round_ != 0 && proposed_round_ < round) {
    values_ = proposed_;
    proposed_round_ = 0;
  }
  return values_;
}

void ControlVariate::propose(std::uint32_t round, std::vector<float> values) {
  proposed_round_ = round;
  proposed_ = std::move(values);
  save();
}

void ControlVariate::refuse(std::uint32_t round) {
  if (proposed_round_ != round) return;
  proposed_round_ = 0;
  save();
}

// The file: kMagic, the run, party, round of the proposal, number of values (32 bits each), values,
// proposed values (float32), all little-endian, and SHA-256 over what is before it.
void ControlVariate::load() {
  const std::string where = file_.string() + ": ";
  const auto require = [&](bool is_right, const char* what) {
    if (!is_right) throw StorageError(where + what);
  };
  const std::size_t fixed = kMagic.size() + run_.size() + 12;
  const std::size_t size = fixed + 8 * values_.size() + Digest().size();
  Bytes bytes;
  try {
    bytes = read_file(file_, size);
  } catch (const Error& error) {
    throw StorageError(error.what());
  }
  require(bytes.size() == size, "not the control variate of this model");
  const ByteView content = ByteView(bytes).first(size - Digest().size());
  const Digest digest = sha256(content);
  require(std::memcmp(digest.data(), bytes.data() + content.size(), digest.size()) == 0,
          "damaged: its hash does not fit");
  require(std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0, "not a control variate");
  require(std::memcmp(bytes.data() + kMagic.size(), run_.data(), run_.size()) == 0,
          "of another run");
  std::size_t at = kMagic.size() + run_.size();
  const auto next = [&] {
    const std::uint32_t value = read_le32(bytes, at);
    at += 4;
    return value;
  };
  require(next() == party_, "of another party");
  proposed_round_ = next();
  require(next() == values_.size(), "of another model");
  for (auto* values : {&values_, &proposed_}) {
    for (float& value : *values) {
      value = std::bit_cast<float>(next());
      require(std::isfinite(value), "a value is not a finite number");
    }
  }
}

void ControlVariate::save() const {
  if (file_.empty()) return;
  Bytes bytes(kMagic.begin(), kMagic.end());
  bytes.insert(bytes.end(), run_.begin(), run_.end());
  append_le32(bytes, party_);
  append_le32(bytes, proposed_round_);
  append_le32(bytes, static_cast<std::uint32_t>(values_.size()));
  append(bytes, values_);
  append(bytes, proposed_);
  const Digest digest = sha256(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  // Nobody else may read it: it says where the gradients of this party's records point.
  const std::filesystem::path next = file_.string() + ".new";
  const int file = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written = file >= 0 && write_all(file, bytes);
  const bool is_closed = file >= 0 && ::close(file) == 0;
  std::error_code failed;
  if (is_written && is_closed) std::filesystem::rename(next, file_, failed);
  if (!is_written || !is_closed || failed) {
    throw StorageError(file_.string() + ": the control variate cannot be written");
  }
}

}  // namespace blindsum::party
