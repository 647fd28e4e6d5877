#include "scenarios/launcher/fetch.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/data/kdd.h"

namespace blindsum::launcher {
namespace {

constexpr curl_off_t kMaxBytes = curl_off_t{64} << 20;  // the files have 2 MB
constexpr long kConnectSeconds = 20;
constexpr long kMaxRedirects = 5;
constexpr long kPastTheEnd = 416;  // HTTP: Range Not Satisfiable

std::string reason_of(int number) { return std::generic_category().message(number); }

// PartFile is <name>.part, locked for this process and open for appending.
class PartFile {
 public:
  explicit PartFile(std::filesystem::path path)
      : path_(std::move(path)),
        file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644)) {
    if (file_ < 0) throw DataError(path_.string() + ": cannot be written: " + reason_of(errno));
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      ::close(file_);
      throw DataError(path_.string() + ": another process downloads it at this moment");
    }
  }
  ~PartFile() { ::close(file_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] curl_off_t size() const { return ::lseek(file_, 0, SEEK_END); }

  // append returns false, and keeps the reason, when the bytes cannot be written.
  bool append(const char* bytes, std::size_t count) {
    while (count > 0) {
      const ssize_t put = ::write(file_, bytes, count);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        error_ = put < 0 ? errno : ENOSPC;
        return false;
      }
      bytes += put;
      count -= static_cast<std::size_t>(put);
    }
    return true;
  }
  [[nodiscard]] int error() const { return error_; }

  void empty() {
    if (::ftruncate(file_, 0) != 0) {
      throw DataError(path_.string() + ": cannot be written: " + reason_of(errno));
    }
  }
  void remove() { ::unlink(path_.c_str()); }

  // publish gives the file its name, durably.
  void publish(const std::filesystem::path& name) {
    if (::fsync(file_) != 0 || ::rename(path_.c_str(), name.c_str()) != 0) {
      throw DataError(name.string() + ": cannot be written: " + reason_of(errno));
    }
  }

 private:
  std::filesystem::path path_;
  int file_;
  int error_ = 0;
};

// Transfer is what the callbacks of one download see.
struct Transfer {
  PartFile* part;
  const std::atomic<bool>* stop;
  Progress* progress;
  std::string name;
  curl_off_t before = 0;  // bytes that the .part had
  bool is_too_large = false;
};

std::size_t take_bytes(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.part->size() + static_cast<curl_off_t>(size * count) > kMaxBytes) {
    transfer.is_too_large = true;
    return 0;
  }
  return transfer.part->append(bytes, size * count) ? size * count : 0;
}

int take_progress(void* context, curl_off_t all, curl_off_t done, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(context);
  const auto have = static_cast<double>(transfer.before + done);
  const auto whole = static_cast<double>(transfer.before + all);
  std::string text = transfer.name + "  " + bytes_text(have);
  if (all > 0) text += " of " + bytes_text(whole) + "  " + fixed(100 * have / whole, 0) + " %";
  transfer.progress->update_phase(text);
  return *transfer.stop ? 1 : 0;
}

class Client {
 public:
  Client() : handle_(curl_easy_init(), curl_easy_cleanup) {
    if (!handle_) throw Error("libcurl cannot be started");
  }

  // get appends `url` to the part, from where it ends, and returns libcurl's verdict.
  CURLcode get(const std::string& url, double patience_s, Transfer& transfer) {
    curl_easy_reset(handle_.get());
    message_.fill('\0');
    transfer.before = transfer.part->size();
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_ERRORBUFFER, message_.data());
    set(CURLOPT_USERAGENT, "blindsum");
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kMaxRedirects);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, std::lround(patience_s)));
    set(CURLOPT_MAXFILESIZE_LARGE, kMaxBytes);
    set(CURLOPT_RESUME_FROM_LARGE, transfer.before);
    set(CURLOPT_WRITEFUNCTION, take_bytes);
    set(CURLOPT_WRITEDATA, &transfer);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, take_progress);
    set(CURLOPT_XFERINFODATA, &transfer);
    return curl_easy_perform(handle_.get());
  }

  [[nodiscard]] std::string message(CURLcode code) const {
    return message_[0] != '\0' ? message_.data() : curl_easy_strerror(code);
  }
  [[nodiscard]] long status() const {
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    if (curl_easy_setopt(handle_.get(), option, value) != CURLE_OK) {
      throw Error("libcurl does not know option " + std::to_string(option));
    }
  }

  std::unique_ptr<CURL, void (*)(CURL*)> handle_;
  std::array<char, CURL_ERROR_SIZE> message_{};
};

[[noreturn]] void refuse(const std::string& url, const Client& client, CURLcode code,
                         const Transfer& transfer) {
  const std::string part = transfer.part->path().string();
  const curl_off_t have = transfer.part->size();
  const std::string kept = have > 0
                               ? "; " + bytes_text(static_cast<double>(have)) + " are kept in " +
                                     part + ", and the same command goes on from there"
                               : "";
  if (have == 0) transfer.part->remove();
  switch (code) {
    case CURLE_WRITE_ERROR:
      if (transfer.part->error() != 0) {
        throw DataError(part + ": cannot be written: " + reason_of(transfer.part->error()) +
                        "; make room, and the same command goes on from there");
      }
      [[fallthrough]];
    case CURLE_FILESIZE_EXCEEDED:
      transfer.part->remove();
      throw DataError(url + ": larger than any file of KDD Cup 1999; is --url right?");
    case CURLE_HTTP_RETURNED_ERROR:
      throw DataError(url + ": the server answers " + std::to_string(client.status()) +
                      (client.status() == 404 ? " (not found)" : "") +
                      "; name another server's folder with --url" + kept);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      throw DataError(url + ": the server cannot be reached (" + client.message(code) +
                      "); check the network, or name another server's folder with --url" + kept);
    case CURLE_OPERATION_TIMEDOUT:
      throw DataError(url + ": the server is silent (" + client.message(code) + ")" + kept);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      throw ConfigError("--url: " + url + ": an address with http:// or https:// is expected");
    default:
      throw DataError(url + ": the download ended early (" + client.message(code) + ")" + kept);
  }
}

bool has_content(const std::filesystem::path& path, const std::string& sha256) {
  try {
    return data::text_sha256(path) == sha256;
  } catch (const DataError&) {  // not even gzip
    return false;
  }
}

// is_there says whether the file, compressed or not, is in the directory already.
bool is_there(const std::filesystem::path& directory, const WantedFile& file) {
  for (const auto& path : {directory / file.name, (directory / file.name).replace_extension()}) {
    if (!std::filesystem::exists(path)) continue;
    if (has_content(path, file.sha256)) return true;
    throw DataError(path.string() +
                    ": is there and is not the published file (other SHA-256); move it away");
  }
  return false;
}

// fetch_one returns false when it was stopped.
bool fetch_one(const FetchOptions& options, const WantedFile& file, Progress& progress,
               const std::atomic<bool>& stop) {
  const std::string url = options.url + (options.url.ends_with('/') ? "" : "/") + file.name;
  PartFile part(options.directory / (file.name + ".part"));
  Client client;
  Transfer transfer{&part, &stop, &progress, file.name};
  for (;;) {
    const CURLcode code = client.get(url, options.patience_s, transfer);
    if (code == CURLE_ABORTED_BY_CALLBACK) {
      if (part.size() == 0) part.remove();
      return false;
    }
    const bool is_continued = transfer.before > 0;
    if (code == CURLE_RANGE_ERROR && is_continued) {  // the server sends the whole file alone
      part.empty();
      continue;
    }
    const bool has_no_more =  // the .part is complete, or longer than the file
        is_continued && code == CURLE_HTTP_RETURNED_ERROR && client.status() == kPastTheEnd;
    if (code != CURLE_OK && !has_no_more) refuse(url, client, code, transfer);
    if (has_content(part.path(), file.sha256)) break;
    if (is_continued) {  // the .part may have been of another file
      part.empty();
      continue;
    }
    part.remove();
    throw DataError(url + ": not the published file (other SHA-256), so it was removed; name " +
                    "another server's folder with --url");
  }
  part.publish(options.directory / file.name);
  return true;
}

}  // namespace

std::span<const WantedFile> kdd_files() {
  static const std::array<WantedFile, 2> kFiles{
      {{"kddcup.data_10_percent.gz", std::string(data::kTrainSha256)},
       {"corrected.gz", std::string(data::kTestSha256)}}};
  return kFiles;
}

bool fetch(const FetchOptions& options, std::span<const WantedFile> files, Progress& progress,
           const std::atomic<bool>& stop) {
  std::filesystem::create_directories(options.directory);
  for (const WantedFile& file : files) {
    progress.begin_phase("fetch", file.name);
    const bool was_there = is_there(options.directory, file);
    if (!was_there && !fetch_one(options, file, progress, stop)) return false;
    progress.end_phase((options.directory / file.name).string() +
                       (was_there ? ": is there already" : ": fetched") + ", checksum right");
  }
  return true;
}

}  // namespace blindsum::launcher
