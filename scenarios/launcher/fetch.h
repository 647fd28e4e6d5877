// Downloads that can be interrupted and continued, and are checked before they are believed.
#pragma once

#include <atomic>
#include <filesystem>
#include <span>
#include <string>

#include "scenarios/launcher/progress.h"

namespace blindsum::launcher {

inline constexpr const char* kKddUrl = "http://kdd.ics.uci.edu/databases/kddcup99/";

// WantedFile is a file to download. `sha256` is of its text, uncompressed when it is gzip.
struct WantedFile {
  std::string name;
  std::string sha256;
};

// kdd_files are the two files of KDD Cup 1999 that Blindsum uses, compressed.
[[nodiscard]] std::span<const WantedFile> kdd_files();

struct FetchOptions {
  std::filesystem::path directory;  // is made when it is not there
  std::string url = kKddUrl;        // of the folder that holds the files, http or https
  double patience_s = 30;           // longest silence of the server
};

// fetch downloads the files that are not in the directory yet. A file grows as <name>.part and gets
// its name once its checksum is right, so that what has the name is whole. A .part of before is
// continued, from its start when the server cannot do that. Returns false, with the .part kept,
// once `stop` is true. Throws DataError that says what, where and what to do: the server cannot be
// reached, does not have the file, is silent or ends too early (the .part is kept for the next
// time); the content is not the published one (the .part is removed); the disk is full; a file of
// that name is there and has another content (it is never overwritten).
[[nodiscard]] bool fetch(const FetchOptions& options, std::span<const WantedFile> files,
                         Progress& progress, const std::atomic<bool>& stop);

}  // namespace blindsum::launcher
