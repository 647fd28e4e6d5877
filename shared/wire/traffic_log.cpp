#include "shared/wire/traffic_log.h"

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "shared/core/error.h"

namespace blindsum::wire {
namespace {

// The file: kMagic, then entries of a header of kHeaderBytes (direction, role, 0, 0, peer's number,
// microseconds since 1970, length; little-endian) and as many bytes. The last entry has the
// direction kEnd and 9 bytes: how many messages were not kept, and whether there was a log before.
constexpr std::string_view kMagic = "blindsum traffic 1\n";
constexpr std::size_t kHeaderBytes = 20;
constexpr std::uint8_t kEnd = 0xff;
constexpr std::size_t kEndBytes = 9;
constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
constexpr std::size_t kMaxMessageBytes = std::size_t{65} << 20;  // above every link's limit

Bytes header_of(std::uint8_t direction, const Peer& peer, std::size_t size) {
  Bytes header{direction, static_cast<std::uint8_t>(peer.role), 0, 0};
  header.reserve(kHeaderBytes);
  append_le32(header, peer.id);
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  append_le64(header,
              static_cast<std::uint64_t>(
                  std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count()));
  append_le32(header, static_cast<std::uint32_t>(size));
  return header;
}

void put(std::ofstream& file, ByteView bytes) {
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// get fills `bytes`, or returns false when the file ends before.
bool get(std::ifstream& file, std::span<std::uint8_t> bytes) {
  return static_cast<bool>(
      file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())));
}

// make_private_file makes an empty file that nobody else may read.
void make_private_file(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) throw ConfigError(path.string() + ": the traffic log cannot be made");
  ::close(file);
}

}  // namespace

TrafficLog::TrafficLog(const std::filesystem::path& path, std::uint64_t max_bytes)
    : buffer_(kBufferBytes), max_bytes_(max_bytes), is_again_(std::filesystem::exists(path)) {
  make_private_file(path);
  file_.rdbuf()->pubsetbuf(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  file_.open(path, std::ios::binary | std::ios::app);
  if (!file_) throw ConfigError(path.string() + ": the traffic log cannot be written");
  put(file_, as_bytes(kMagic));
  bytes_ = kMagic.size();
}

void TrafficLog::add(Direction direction, const Peer& peer, ByteView message) {
  const std::uint64_t size = kHeaderBytes + message.size();
  // What follows one that was left out is left out too: the log is a beginning, without gaps.
  if (left_out_ > 0 || bytes_ + size > max_bytes_) {
    ++left_out_;
    return;
  }
  put(file_, header_of(static_cast<std::uint8_t>(direction), peer, message.size()));
  put(file_, message);
  bytes_ += size;
}

void TrafficLog::close() noexcept {
  if (!file_.is_open()) return;
  Bytes count;
  append_le64(count, left_out_);
  count.push_back(is_again_ ? 1 : 0);
  put(file_, header_of(kEnd, {}, count.size()));
  put(file_, count);
  file_.close();
}

TrafficReader::TrafficReader(const std::filesystem::path& path)
    : path_(path), file_(path, std::ios::binary) {
  std::array<std::uint8_t, kMagic.size()> magic{};
  const ByteView expected = as_bytes(kMagic);
  if (!get(file_, magic) || !std::equal(magic.begin(), magic.end(), expected.begin())) {
    throw DecodeError(path.string() + ": not a traffic log");
  }
}

std::optional<RecordedMessage> TrafficReader::next() {
  std::array<std::uint8_t, kHeaderBytes> header{};
  if (has_ended_ || !get(file_, header)) return std::nullopt;
  const std::uint32_t size = read_le32(header, 16);
  const bool is_end = header[0] == kEnd;
  const auto role = static_cast<Role>(header[1]);
  if ((!is_end && header[0] > static_cast<std::uint8_t>(Direction::kOut)) || role > Role::kParty ||
      (is_end ? size != kEndBytes : size > kMaxMessageBytes)) {
    throw DecodeError(path_.string() + ": not an entry of a traffic log, before byte " +
                      std::to_string(file_.tellg()));
  }
  message_.resize(size);
  if (!get(file_, message_)) return std::nullopt;
  if (is_end) {
    left_out_ = read_le64(message_, 0);
    has_ended_ = true;
    is_whole_ = message_.back() == 0;
    return std::nullopt;
  }
  return RecordedMessage{static_cast<Direction>(header[0]),
                         {role, read_le32(header, 4)},
                         read_le64(header, 8),
                         message_};
}

}  // namespace blindsum::wire
