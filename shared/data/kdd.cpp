#include "shared/data/kdd.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <unordered_map>
#include <utility>

#include <zlib.h>

#include "shared/core/error.h"
#include "shared/core/hash.h"
#include "shared/core/words.h"

namespace blindsum::data {
namespace {

constexpr std::size_t kFields = kFeatures + 1;
constexpr std::size_t kShortestRecord = 2 * kNumericFeatures;  // a digit and a comma each
constexpr std::size_t kMaxTextBytes = std::size_t{2} << 30;    // the full KDD file has 0.74 GB

constexpr std::array<std::string_view, kFeatures> kFeatureNames{
    "duration",
    "protocol_type",
    "service",
    "flag",
    "src_bytes",
    "dst_bytes",
    "land",
    "wrong_fragment",
    "urgent",
    "hot",
    "num_failed_logins",
    "logged_in",
    "num_compromised",
    "root_shell",
    "su_attempted",
    "num_root",
    "num_file_creations",
    "num_shells",
    "num_access_files",
    "num_outbound_cmds",
    "is_host_login",
    "is_guest_login",
    "count",
    "srv_count",
    "serror_rate",
    "srv_serror_rate",
    "rerror_rate",
    "srv_rerror_rate",
    "same_srv_rate",
    "diff_srv_rate",
    "srv_diff_host_rate",
    "dst_host_count",
    "dst_host_srv_count",
    "dst_host_same_srv_rate",
    "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate",
    "dst_host_srv_diff_host_rate",
    "dst_host_serror_rate",
    "dst_host_srv_serror_rate",
    "dst_host_rerror_rate",
    "dst_host_srv_rerror_rate",
};
static_assert(!kFeatureNames.back().empty());

constexpr std::size_t kFirstCategory = 1;  // protocol_type, service and flag are columns 1 to 3

// The category lists are sorted by their bytes: a value's index is its rank.
constexpr std::array<std::string_view, 3> kProtocols{"icmp", "tcp", "udp"};
constexpr std::array<std::string_view, 70> kServices{
    "IRC",      "X11",      "Z39_50",      "aol",        "auth",        "bgp",      "courier",
    "csnet_ns", "ctf",      "daytime",     "discard",    "domain",      "domain_u", "echo",
    "eco_i",    "ecr_i",    "efs",         "exec",       "finger",      "ftp",      "ftp_data",
    "gopher",   "harvest",  "hostnames",   "http",       "http_2784",   "http_443", "http_8001",
    "imap4",    "iso_tsap", "klogin",      "kshell",     "ldap",        "link",     "login",
    "mtp",      "name",     "netbios_dgm", "netbios_ns", "netbios_ssn", "netstat",  "nnsp",
    "nntp",     "ntp_u",    "other",       "pm_dump",    "pop_2",       "pop_3",    "printer",
    "private",  "red_i",    "remote_job",  "rje",        "shell",       "smtp",     "sql_net",
    "ssh",      "sunrpc",   "supdup",      "systat",     "telnet",      "tftp_u",   "tim_i",
    "time",     "urh_i",    "urp_i",       "uucp",       "uucp_path",   "vmnet",    "whois"};
constexpr std::array<std::string_view, 11> kFlags{"OTH", "REJ", "RSTO", "RSTOS0", "RSTR", "S0",
                                                  "S1",  "S2",  "S3",   "SF",     "SH"};
static_assert(std::ranges::is_sorted(kProtocols) && std::ranges::is_sorted(kServices) &&
              std::ranges::is_sorted(kFlags));

using enum TrafficClass;
constexpr std::array<std::pair<std::string_view, TrafficClass>, 40> kAttacks{{
    {"normal", kNormal},
    {"apache2", kDos},
    {"back", kDos},
    {"land", kDos},
    {"mailbomb", kDos},
    {"neptune", kDos},
    {"pod", kDos},
    {"processtable", kDos},
    {"smurf", kDos},
    {"teardrop", kDos},
    {"udpstorm", kDos},
    {"ipsweep", kProbe},
    {"mscan", kProbe},
    {"nmap", kProbe},
    {"portsweep", kProbe},
    {"saint", kProbe},
    {"satan", kProbe},
    {"ftp_write", kR2l},
    {"guess_passwd", kR2l},
    {"imap", kR2l},
    {"multihop", kR2l},
    {"named", kR2l},
    {"phf", kR2l},
    {"sendmail", kR2l},
    {"snmpgetattack", kR2l},
    {"snmpguess", kR2l},
    {"spy", kR2l},
    {"warezclient", kR2l},
    {"warezmaster", kR2l},
    {"worm", kR2l},
    {"xlock", kR2l},
    {"xsnoop", kR2l},
    {"buffer_overflow", kU2r},
    {"httptunnel", kU2r},
    {"loadmodule", kU2r},
    {"perl", kU2r},
    {"ps", kU2r},
    {"rootkit", kU2r},
    {"sqlattack", kU2r},
    {"xterm", kU2r},
}};

const TrafficClass* find_attack(std::string_view attack) {
  const auto* found =
      std::ranges::find(kAttacks, attack, &std::pair<std::string_view, TrafficClass>::first);
  return found == kAttacks.end() ? nullptr : &found->second;
}

std::int16_t index_in(std::span<const std::string_view> sorted, std::string_view value) {
  const auto found = std::ranges::lower_bound(sorted, value);
  if (found == sorted.end() || *found != value) return kUnknownCategory;
  return static_cast<std::int16_t>(found - sorted.begin());
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) out += c < ' ' || c > '~' ? '?' : c;
  return out + (text.size() > kShown ? "…'" : "'");
}

// for_each_piece hands out the uncompressed text of a file. zlib passes a file without the gzip
// magic through unchanged.
template <class Sink>
void for_each_piece(const std::filesystem::path& path, Sink&& sink) {
  const auto close = [](gzFile file) { gzclose_r(file); };
  if (!std::filesystem::is_regular_file(path)) {
    throw DataError(path.string() + ": no such file");
  }
  std::unique_ptr<gzFile_s, decltype(close)> file(gzopen(path.c_str(), "rb"), close);
  if (!file) throw DataError(path.string() + ": cannot be opened");
  constexpr unsigned kPieceBytes = 1 << 17;
  gzbuffer(file.get(), kPieceBytes);
  std::vector<char> piece(kPieceBytes);
  std::size_t total = 0;
  for (;;) {
    const int got = gzread(file.get(), piece.data(), static_cast<unsigned>(piece.size()));
    // A stream that ends early reads as a short piece; the error state tells it from a full one.
    int state = Z_OK;
    const char* text = gzerror(file.get(), &state);
    if (got < 0 || state == Z_BUF_ERROR) {
      throw DataError(path.string() + ": " +
                      (state == Z_BUF_ERROR ? "the gzip stream is truncated" : text));
    }
    if (got == 0) return;
    total += static_cast<std::size_t>(got);
    if (total > kMaxTextBytes) throw DataError(path.string() + ": more than 2 GiB of text");
    sink(std::string_view(piece.data(), static_cast<std::size_t>(got)));
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::string text;
  for_each_piece(path, [&](std::string_view piece) { text.append(piece); });
  if (text.empty()) throw DataError(path.string() + ": the file is empty");
  if (text.back() != '\n') text += '\n';
  return text;
}

// Line is a record without its line end, cut at its commas.
struct Line {
  std::array<std::string_view, kFields> fields;
  std::string_view last;
  std::size_t count = 0;  // may exceed kFields

  explicit Line(std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    for (;;) {
      const std::size_t comma = text.find(',');
      last = text.substr(0, comma);
      if (count < kFields) fields[count] = last;
      ++count;
      if (comma == std::string_view::npos) return;
      text.remove_prefix(comma + 1);
    }
  }
};

// AttackIndex numbers attack names in order of first appearance.
struct AttackIndex {
  std::vector<std::string> names;
  std::vector<TrafficClass> classes;

  // index_of returns nothing (-1) for a label that the contest does not have.
  std::int32_t index_of(std::string_view label) {
    if (label.ends_with('.')) label.remove_suffix(1);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == label) return static_cast<std::int32_t>(i);
    }
    const TrafficClass* traffic_class = find_attack(label);
    if (traffic_class == nullptr) return -1;
    names.emplace_back(label);
    classes.push_back(*traffic_class);
    return static_cast<std::int32_t>(names.size()) - 1;
  }
};

// is_header tells a line with the names of the features from a record.
bool is_header(const Line& line) {
  return std::ranges::equal(std::span(line.fields).first(kFeatures), kFeatureNames);
}

// is_difficulty tells NSL-KDD's last column: of 21 classifiers, how many were right.
bool is_difficulty(std::string_view field) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size() && value <= 21;
}

// for_each_record calls body(begin, line, attack, fail) for every record of `text`: its offset, its
// fields (42 that count), the index of its attack, and a function that throws with file and line
// number.
template <class Body>
void for_each_record(const std::filesystem::path& path, std::string_view text, AttackIndex& attacks,
                     Body&& body) {
  std::size_t number = 0;
  const auto fail = [&](const std::string& what) {
    throw DataError(path.string() + ":" + std::to_string(number) + ": " + what);
  };
  for (std::size_t begin = 0; begin < text.size();) {
    ++number;
    const std::size_t end = text.find('\n', begin);
    const Line line(text.substr(begin, end - begin));
    if (number == 1 && is_header(line)) {
      begin = end + 1;
      continue;
    }
    const bool has_difficulty = line.count == kFields + 1 && is_difficulty(line.last);
    if (line.count != kFields && !has_difficulty) {
      fail(std::to_string(line.count) + " fields, expected " + std::to_string(kFields));
    }
    const std::int32_t attack = attacks.index_of(line.fields[kFeatures]);
    if (attack < 0) fail("unknown attack label " + quoted(line.fields[kFeatures]));
    body(begin, line, static_cast<std::uint16_t>(attack), fail);
    begin = end + 1;
  }
}

}  // namespace

std::string_view to_string(TrafficClass traffic_class) {
  static constexpr std::array<std::string_view, kClasses> kNames{"normal", "dos", "probe", "r2l",
                                                                 "u2r"};
  return kNames.at(static_cast<std::size_t>(traffic_class));
}

std::span<const std::string_view> feature_names() { return kFeatureNames; }
std::span<const std::string_view> protocols() { return kProtocols; }
std::span<const std::string_view> services() { return kServices; }
std::span<const std::string_view> flags() { return kFlags; }

TrafficClass class_of(std::string_view attack) {
  const TrafficClass* found = find_attack(attack);
  if (found == nullptr) throw DataError("unknown attack " + quoted(attack));
  return *found;
}

RecordTable read_kdd(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  RecordTable table;
  AttackIndex attacks;
  // A line that is too short for a record ends the reading: memory for it is not needed.
  const std::size_t most_rows = std::min(static_cast<std::size_t>(std::ranges::count(text, '\n')),
                                         text.size() / kShortestRecord + 1);
  table.numeric.reserve(most_rows * kNumericFeatures);
  table.categories.reserve(most_rows);
  table.attacks.reserve(most_rows);
  table.classes.reserve(most_rows);
  for_each_record(
      path, text, attacks,
      [&](std::size_t, const Line& line, std::uint16_t attack, const auto& fail) {
        for (std::size_t column = 0; column < kFeatures; ++column) {
          if (column == kFirstCategory) column += 3;
          const std::string_view field = line.fields[column];
          double value = 0;
          const auto [end, error] =
              std::from_chars(field.data(), field.data() + field.size(), value);
          if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value)) {
            fail(quoted(field) + " is not a number in column " +
                 std::string(kFeatureNames[column]));
          }
          if (value < 0) {
            fail(quoted(field) + " is negative in column " + std::string(kFeatureNames[column]));
          }
          table.numeric.push_back(value);
        }
        const auto* category = &line.fields[kFirstCategory];
        table.categories.push_back({index_in(kProtocols, category[0]),
                                    index_in(kServices, category[1]),
                                    index_in(kFlags, category[2])});
        table.attacks.push_back(attack);
        table.classes.push_back(attacks.classes[attack]);
      });
  table.rows = table.attacks.size();
  table.attack_names = std::move(attacks.names);
  return table;
}

RecordTable select(const RecordTable& table, std::span<const std::uint32_t> rows) {
  RecordTable selected;
  selected.rows = rows.size();
  selected.numeric.reserve(rows.size() * kNumericFeatures);
  selected.categories.reserve(rows.size());
  selected.attacks.reserve(rows.size());
  selected.classes.reserve(rows.size());
  for (const std::uint32_t row : rows) {
    const double* numeric = table.numeric.data() + row * kNumericFeatures;
    selected.numeric.insert(selected.numeric.end(), numeric, numeric + kNumericFeatures);
    selected.categories.push_back(table.categories[row]);
    selected.attacks.push_back(table.attacks[row]);
    selected.classes.push_back(table.classes[row]);
  }
  selected.attack_names = table.attack_names;
  return selected;
}

DistinctRows distinct_rows(const RecordTable& table) {
  const auto numeric_of = [&](std::uint32_t row) {
    return std::span(table.numeric).subspan(row * kNumericFeatures, kNumericFeatures);
  };
  const auto hash = [&](std::uint32_t row) {
    const std::span<const double> numeric = numeric_of(row);
    const std::string_view bytes(reinterpret_cast<const char*>(numeric.data()),
                                 numeric.size_bytes());
    return std::hash<std::string_view>{}(bytes) + table.attacks[row];
  };
  const auto equal = [&](std::uint32_t a, std::uint32_t b) {
    return table.attacks[a] == table.attacks[b] && table.categories[a] == table.categories[b] &&
           std::ranges::equal(numeric_of(a), numeric_of(b));
  };
  std::unordered_map<std::uint32_t, std::size_t, decltype(hash), decltype(equal)> places(0, hash,
                                                                                         equal);
  DistinctRows distinct;
  for (std::uint32_t row = 0; row < table.rows; ++row) {
    const auto [found, is_new] = places.emplace(row, distinct.rows.size());
    if (is_new) {
      distinct.rows.push_back(row);
      distinct.multiplicity.push_back(1);
    } else {
      ++distinct.multiplicity[found->second];
    }
  }
  return distinct;
}

RawFile read_raw(const std::filesystem::path& path) {
  RawFile file;
  file.text = read_text(path);
  AttackIndex attacks;
  for_each_record(path, file.text, attacks,
                  [&](std::size_t begin, const Line& line, std::uint16_t attack, const auto&) {
                    file.line_begin.push_back(begin);
                    file.services.push_back(index_in(kServices, line.fields[kFirstCategory + 1]));
                    file.attacks.push_back(attack);
                  });
  file.line_begin.push_back(file.text.size());
  file.attack_names = std::move(attacks.names);
  return file;
}

namespace {

constexpr Words<FileSet, 3> kFileSets("data", {"kdd99", "nsl_kdd", "csv"});
constexpr std::array kAllSets{FileSet::kKdd99, FileSet::kNslKdd, FileSet::kCsv};

struct SetNames {
  std::string_view train, test, advice;
};

SetNames names_of(FileSet set) {
  switch (set) {
    case FileSet::kKdd99:
      return {"kddcup.data_10_percent", "corrected",
              "get both files of KDD Cup 1999 (http://kdd.ics.uci.edu/databases/kddcup99/) with "
              "'blindsum data fetch DIR' and name their folder with --data or BLINDSUM_DATA"};
    case FileSet::kNslKdd:
      return {"KDDTrain+.txt", "KDDTest+.txt",
              "get NSL-KDD from https://www.unb.ca/cic/datasets/nsl.html and name its folder with "
              "--data or BLINDSUM_DATA"};
    case FileSet::kCsv:
      break;
  }
  return {"train.csv", "test.csv",
          "put CSV files with the 41 features of KDD Cup 1999 and the attack there, and name "
          "their folder with --data or BLINDSUM_DATA"};
}

}  // namespace

std::filesystem::path find_file(const std::filesystem::path& directory, std::string_view name) {
  for (const std::string_view suffix : {"", ".gz"}) {
    std::filesystem::path path = directory / (std::string(name) + std::string(suffix));
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) return path;
  }
  return {};
}

std::filesystem::path find_test(const std::filesystem::path& directory) {
  std::string names;
  for (const FileSet set : kAllSets) {
    const std::string name(names_of(set).test);
    std::filesystem::path path = find_file(directory, name);
    if (!path.empty()) return path;
    names += (names.empty() ? "" : ", ") + name;
  }
  throw DataError(directory.string() + ": no test file is there; put one under one of the names " +
                  names + ", plain or .gz");
}

std::string_view to_string(FileSet set) { return kFileSets.word(set); }

FileSet file_set_from_string(std::string_view name) { return kFileSets.value(name); }

KddFiles find_kdd(const std::filesystem::path& directory, FileSet set) {
  const SetNames names = names_of(set);
  const auto find = [&](std::string_view name) {
    std::filesystem::path path = find_file(directory, name);
    if (path.empty()) {
      throw DataError(directory.string() + ": neither " + std::string(name) + " nor " +
                      std::string(name) + ".gz is there; " + std::string(names.advice));
    }
    return path;
  };
  return {find(names.train), find(names.test)};
}

std::optional<FileSet> find_set(const std::filesystem::path& directory) {
  const auto* found = std::find_if(kAllSets.begin(), kAllSets.end(), [&](FileSet set) {
    const SetNames names = names_of(set);
    return !find_file(directory, names.train).empty() && !find_file(directory, names.test).empty();
  });
  return found == kAllSets.end() ? std::nullopt : std::optional(*found);
}

std::string text_sha256(const std::filesystem::path& path) {
  Sha256 hash;
  for_each_piece(path, [&](std::string_view piece) { hash.update(as_bytes(piece)); });
  return to_hex(hash.finish());
}

}  // namespace blindsum::data
