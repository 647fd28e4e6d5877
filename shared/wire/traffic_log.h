// Recorded traffic: the messages that one process received and sent, as encoded, in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>

#include "shared/core/bytes.h"
#include "shared/wire/messages.h"

namespace blindsum::wire {

enum class Direction : std::uint8_t { kIn = 0, kOut = 1 };

// TrafficLog appends messages to a file, through a buffer, until the next one would make it longer
// than `max_bytes`; from then on they are counted alone. What it writes last says how many were
// not kept. It never ends a run: when the disk is full, the file lacks that last line, and a reader
// sees it. A log that is there already, of a process that was started before, is replaced, and the
// new one says so. Not thread-safe.
class TrafficLog {
 public:
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

  // Throws ConfigError when `path` cannot be made. The file is for its owner alone.
  explicit TrafficLog(const std::filesystem::path& path, std::uint64_t max_bytes = kMaxBytes);
  ~TrafficLog() { close(); }
  TrafficLog(const TrafficLog&) = delete;
  TrafficLog& operator=(const TrafficLog&) = delete;

  void add(Direction direction, const Peer& peer, ByteView message);

  // close writes the count of what was not kept, and ends the file. Once is enough.
  void close() noexcept;

 private:
  std::vector<char> buffer_;  // before the stream that uses it
  std::ofstream file_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  std::uint64_t left_out_ = 0;
  bool is_again_;
};

// RecordedMessage is one message of a traffic log. `bytes` live until the next one is read.
struct RecordedMessage {
  Direction direction = Direction::kIn;
  Peer peer;                  // who sent or was to get it
  std::uint64_t time_us = 0;  // since 1970
  ByteView bytes;
};

// TrafficReader reads such a file from its beginning. Memory: one message.
class TrafficReader {
 public:
  // Throws DecodeError when the file cannot be read or is no traffic log.
  explicit TrafficReader(const std::filesystem::path& path);

  // next returns the next message, nothing after the last. Throws DecodeError for one that is no
  // message; what a crash has cut short ends the file.
  [[nodiscard]] std::optional<RecordedMessage> next();

  // is_whole says, after the last message, whether this is all from the first start of the writer
  // to its end; left_out how many messages it did not keep.
  [[nodiscard]] bool is_whole() const { return is_whole_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  Bytes message_;
  bool has_ended_ = false;
  bool is_whole_ = false;
  std::uint64_t left_out_ = 0;
};

}  // namespace blindsum::wire
