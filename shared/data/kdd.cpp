#include "shared/data/kdd.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/core/words.h"

namespace blindsum::data {
namespace {

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

// The category lists are sorted by their bytes, so that no index tells what anybody has seen.
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

// The contest's cost matrix, rows actual, columns predicted (Elkan, "Results of the KDD'99
// classifier learning", 2000), in our class order.
constexpr std::array<std::array<std::uint32_t, kClasses>, kClasses> kCosts{{
    {0, 2, 1, 2, 2},
    {2, 0, 1, 2, 2},
    {1, 2, 0, 2, 2},
    {4, 2, 2, 0, 2},
    {3, 2, 2, 2, 0},
}};
constexpr std::array<std::string_view, kClasses> kClassNames{"normal", "dos", "probe", "r2l",
                                                             "u2r"};

// kLogged are the numeric columns of durations, bytes and counters. Flags and rates stay as they
// are.
constexpr std::array<std::string_view, 17> kLogged{"duration",
                                                   "src_bytes",
                                                   "dst_bytes",
                                                   "wrong_fragment",
                                                   "urgent",
                                                   "hot",
                                                   "num_failed_logins",
                                                   "num_compromised",
                                                   "num_root",
                                                   "num_file_creations",
                                                   "num_shells",
                                                   "num_access_files",
                                                   "num_outbound_cmds",
                                                   "count",
                                                   "srv_count",
                                                   "dst_host_count",
                                                   "dst_host_srv_count"};

Schema make_kdd99() {
  std::vector<Feature> columns;
  for (const std::string_view name : kFeatureNames) {
    Feature& column = columns.emplace_back();
    column.name = name;
    if (std::ranges::find(kLogged, name) != kLogged.end()) column.kind = FeatureKind::kLog;
  }
  constexpr std::size_t kFirstCategory = 1;
  const std::array<std::span<const std::string_view>, 3> values{kProtocols, kServices, kFlags};
  for (std::size_t k = 0; k < values.size(); ++k) {
    columns[kFirstCategory + k].kind = FeatureKind::kCategory;
    columns[kFirstCategory + k].values.assign(values[k].begin(), values[k].end());
  }
  std::vector<RecordClass> classes;
  for (std::size_t c = 0; c < kClasses; ++c) {
    classes.push_back({std::string(kClassNames[c]), {}, {kCosts[c].begin(), kCosts[c].end()}});
  }
  for (const auto& [attack, traffic_class] : kAttacks) {
    classes[static_cast<std::size_t>(traffic_class)].labels.emplace_back(attack);
  }
  return {std::move(columns), "attack", std::move(classes)};
}

}  // namespace

const Schema& Schema::kdd99() {
  static const Schema schema = make_kdd99();
  return schema;
}

std::string_view to_string(TrafficClass traffic_class) {
  return kClassNames.at(static_cast<std::size_t>(traffic_class));
}

std::span<const std::string_view> feature_names() { return kFeatureNames; }
std::span<const std::string_view> protocols() { return kProtocols; }
std::span<const std::string_view> services() { return kServices; }
std::span<const std::string_view> flags() { return kFlags; }

TrafficClass class_of(std::string_view attack) {
  return static_cast<TrafficClass>(Schema::kdd99().class_of(attack));
}

RecordTable read_kdd(const std::filesystem::path& path) {
  return read_records(path, Schema::kdd99());
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

std::filesystem::path find_csv(const std::filesystem::path& directory, std::string_view name) {
  std::filesystem::path path = find_file(directory, name);
  if (path.empty()) {
    throw DataError(directory.string() + ": neither " + std::string(name) + " nor " +
                    std::string(name) + ".gz is there; put CSV files with the columns of " +
                    "data.schema there, and name their folder with --data or BLINDSUM_DATA");
  }
  return path;
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

}  // namespace blindsum::data
