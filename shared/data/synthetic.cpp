#include "shared/data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/file.h"
#include "shared/core/seeded_random.h"

namespace blindsum::data {
namespace {

// Range is a log-uniform range of whole numbers.
struct Range {
  double low = 0;
  double high = 0;
};

// Profile describes one kind of traffic. Weights are rows in 10,000 of the training and test sets.
struct Profile {
  std::string_view attack;
  double train_weight, test_weight;
  std::string_view protocol;
  std::vector<std::string_view> services;  // the first is the usual one
  std::vector<std::string_view> flags;
  Range duration{}, src_bytes{}, dst_bytes{};
  Range count{};            // connections to the same host in two seconds
  double same_service = 1;  // share of them to the same service
  double serror = 0;        // share with SYN errors
  double rerror = 0;        // share with REJ errors
  Range host_count{20, 255};
  double logged_in = 0;
  Range hot{};
  Range compromised{};
  double guest = 0;
  double root_shell = 0;
  double failed_login = 0;
  double fragments = 0;
};

const std::vector<Profile>& profiles() {
  using V = std::vector<std::string_view>;
  static const V kSf{"SF"};
  static const std::vector<Profile> kProfiles{
      {.attack = "normal",
       .train_weight = 1250,
       .test_weight = 1270,
       .protocol = "tcp",
       .services = V{"http", "http", "auth", "finger"},
       .flags = V{"SF", "SF", "SF", "REJ", "S1"},
       .src_bytes = {120, 500},
       .dst_bytes = {200, 40000},
       .count = {1, 30},
       .logged_in = 0.95},
      {.attack = "normal",
       .train_weight = 190,
       .test_weight = 180,
       .protocol = "tcp",
       .services = V{"smtp"},
       .flags = kSf,
       .duration = {0, 4},
       .src_bytes = {500, 4000},
       .dst_bytes = {300, 400},
       .count = {1, 5},
       .same_service = 0.7,
       .logged_in = 0.95},
      {.attack = "normal",
       .train_weight = 270,
       .test_weight = 300,
       .protocol = "udp",
       .services = V{"domain_u", "private", "ntp_u"},
       .flags = kSf,
       .src_bytes = {28, 150},
       .dst_bytes = {30, 180},
       .count = {1, 200},
       .same_service = 0.95},
      {.attack = "normal",
       .train_weight = 160,
       .test_weight = 160,
       .protocol = "tcp",
       .services = V{"ftp_data", "ftp", "telnet", "other"},
       .flags = V{"SF", "SF", "RSTO"},
       .duration = {0, 900},
       .src_bytes = {100, 30000},
       .dst_bytes = {0, 9000},
       .count = {1, 4},
       .logged_in = 0.8,
       .hot = {0, 3},
       .guest = 0.1},
      {.attack = "normal",
       .train_weight = 60,
       .test_weight = 70,
       .protocol = "icmp",
       .services = V{"eco_i", "ecr_i", "urp_i"},
       .flags = kSf,
       .src_bytes = {8, 70},
       .count = {1, 6}},
      {.attack = "smurf",
       .train_weight = 5680,
       .test_weight = 5280,
       .protocol = "icmp",
       .services = V{"ecr_i"},
       .flags = kSf,
       .src_bytes = {520, 1032},
       .count = {300, 511},
       .host_count = {250, 255}},
      {.attack = "neptune",
       .train_weight = 2170,
       .test_weight = 1865,
       .protocol = "tcp",
       .services =
           V{"private", "private", "private", "telnet", "http", "smtp", "whois", "nnsp", "uucp"},
       .flags = V{"S0", "S0", "S0", "REJ"},
       .count = {80, 300},
       .same_service = 0.08,
       .serror = 0.8,
       .rerror = 0.2,
       .host_count = {250, 255}},
      {.attack = "back",
       .train_weight = 45,
       .test_weight = 35,
       .protocol = "tcp",
       .services = V{"http"},
       .flags = V{"SF", "SF", "RSTR"},
       .duration = {0, 3},
       .src_bytes = {50000, 54540},
       .dst_bytes = {7000, 8400},
       .count = {1, 8},
       .logged_in = 1,
       .hot = {1, 2},
       .compromised = {0, 1}},
      {.attack = "teardrop",
       .train_weight = 20,
       .test_weight = 4,
       .protocol = "udp",
       .services = V{"private"},
       .flags = kSf,
       .src_bytes = {28, 28},
       .count = {10, 100},
       .fragments = 3},
      {.attack = "pod",
       .train_weight = 6,
       .test_weight = 3,
       .protocol = "icmp",
       .services = V{"ecr_i"},
       .flags = kSf,
       .src_bytes = {564, 1480},
       .count = {1, 6},
       .fragments = 1},
      {.attack = "apache2",
       .train_weight = 0,
       .test_weight = 30,
       .protocol = "tcp",
       .services = V{"http"},
       .flags = V{"RSTR", "S3", "SF", "S0"},
       .duration = {0, 900},
       .src_bytes = {10000, 70000},
       .dst_bytes = {0, 9000},
       .count = {10, 120},
       .serror = 0.3,
       .rerror = 0.4,
       .logged_in = 0.5},
      {.attack = "mailbomb",
       .train_weight = 0,
       .test_weight = 160,
       .protocol = "tcp",
       .services = V{"smtp"},
       .flags = kSf,
       .duration = {0, 2},
       .src_bytes = {2500, 2600},
       .dst_bytes = {290, 340},
       .count = {1, 6},
       .logged_in = 1},
      {.attack = "satan",
       .train_weight = 32,
       .test_weight = 52,
       .protocol = "tcp",
       .services = V{"other", "private", "ftp", "gopher", "X11", "sunrpc"},
       .flags = V{"REJ", "REJ", "RSTR", "S0", "SF"},
       .src_bytes = {0, 10},
       .count = {1, 500},
       .same_service = 0.1,
       .serror = 0.1,
       .rerror = 0.7,
       .host_count = {200, 255}},
      {.attack = "ipsweep",
       .train_weight = 25,
       .test_weight = 10,
       .protocol = "icmp",
       .services = V{"eco_i", "eco_i", "ecr_i"},
       .flags = kSf,
       .src_bytes = {8, 18},
       .count = {1, 2},
       .host_count = {1, 30}},
      {.attack = "portsweep",
       .train_weight = 21,
       .test_weight = 11,
       .protocol = "tcp",
       .services = V{"private", "other", "ftp", "ssh", "http"},
       .flags = V{"RSTR", "REJ", "SH", "OTH"},
       .duration = {0, 40000},
       .count = {1, 8},
       .same_service = 0.3,
       .serror = 0.2,
       .rerror = 0.7,
       .host_count = {200, 255}},
      {.attack = "nmap",
       .train_weight = 6,
       .test_weight = 3,
       .protocol = "tcp",
       .services = V{"private", "eco_i", "domain"},
       .flags = V{"SH", "SF"},
       .src_bytes = {0, 207},
       .count = {1, 2},
       .serror = 0.6,
       .host_count = {1, 60}},
      {.attack = "mscan",
       .train_weight = 0,
       .test_weight = 34,
       .protocol = "tcp",
       .services = V{"telnet", "imap4", "pop_3", "domain", "other"},
       .flags = V{"REJ", "S0", "RSTO", "SF"},
       .src_bytes = {0, 60},
       .count = {1, 30},
       .same_service = 0.3,
       .serror = 0.4,
       .rerror = 0.5,
       .host_count = {100, 255}},
      {.attack = "saint",
       .train_weight = 0,
       .test_weight = 24,
       .protocol = "tcp",
       .services = V{"private", "other", "ftp", "finger"},
       .flags = V{"REJ", "RSTO", "SF"},
       .src_bytes = {0, 20},
       .count = {1, 400},
       .same_service = 0.1,
       .rerror = 0.8,
       .host_count = {200, 255}},
      {.attack = "warezclient",
       .train_weight = 22,
       .test_weight = 0,
       .protocol = "tcp",
       .services = V{"ftp_data", "ftp"},
       .flags = kSf,
       .duration = {0, 1500},
       .src_bytes = {100, 400000},
       .count = {1, 3},
       .logged_in = 1,
       .hot = {1, 30},
       .guest = 0.7},
      {.attack = "guess_passwd",
       .train_weight = 10,
       .test_weight = 140,
       .protocol = "tcp",
       .services = V{"telnet", "pop_3"},
       .flags = V{"RSTO", "SF"},
       .duration = {0, 4},
       .src_bytes = {120, 140},
       .dst_bytes = {170, 280},
       .count = {1, 2},
       .rerror = 0.5,
       .failed_login = 1},
      {.attack = "imap",
       .train_weight = 4,
       .test_weight = 1,
       .protocol = "tcp",
       .services = V{"imap4"},
       .flags = V{"SF", "S1"},
       .src_bytes = {40, 1500},
       .dst_bytes = {0, 50000},
       .count = {1, 3},
       .serror = 0.4},
      {.attack = "warezmaster",
       .train_weight = 6,
       .test_weight = 51,
       .protocol = "tcp",
       .services = V{"ftp", "ftp_data"},
       .flags = kSf,
       .duration = {10, 150},
       .src_bytes = {20, 200},
       .dst_bytes = {100, 5000000},
       .count = {1, 2},
       .logged_in = 0.7,
       .hot = {1, 20},
       .guest = 0.8},
      {.attack = "snmpguess",
       .train_weight = 0,
       .test_weight = 80,
       .protocol = "udp",
       .services = V{"private"},
       .flags = kSf,
       .src_bytes = {40, 60},
       .count = {1, 3}},
      {.attack = "snmpgetattack",
       .train_weight = 0,
       .test_weight = 200,
       .protocol = "udp",
       .services = V{"private"},
       .flags = kSf,
       .src_bytes = {100, 110},
       .dst_bytes = {140, 150},
       .count = {1, 3}},
      {.attack = "buffer_overflow",
       .train_weight = 10,
       .test_weight = 4,
       .protocol = "tcp",
       .services = V{"telnet", "ftp_data"},
       .flags = kSf,
       .duration = {20, 400},
       .src_bytes = {800, 6000},
       .dst_bytes = {1000, 20000},
       .count = {1, 2},
       .logged_in = 1,
       .hot = {1, 6},
       .compromised = {1, 4},
       .root_shell = 0.8},
      {.attack = "rootkit",
       .train_weight = 8,
       .test_weight = 5,
       .protocol = "tcp",
       .services = V{"telnet", "ftp_data", "other"},
       .flags = kSf,
       .duration = {10, 800},
       .src_bytes = {20, 3000},
       .dst_bytes = {0, 30000},
       .count = {1, 2},
       .logged_in = 0.7,
       .hot = {0, 4},
       .compromised = {0, 3},
       .root_shell = 0.5},
      {.attack = "httptunnel",
       .train_weight = 0,
       .test_weight = 6,
       .protocol = "tcp",
       .services = V{"http", "other"},
       .flags = kSf,
       .duration = {200, 2000},
       .src_bytes = {2000, 9000},
       .dst_bytes = {1000, 9000},
       .count = {1, 3},
       .logged_in = 0.9},
  };
  return kProfiles;
}

// RowWriter turns profiles into lines of the KDD schema.
class RowWriter {
 public:
  explicit RowWriter(SeededRandom& random) : random_(random) {}

  void write(const Profile& profile) {
    number(draw(profile.duration));
    word(profile.protocol);
    word(pick(profile.services));
    const std::string_view flag = pick(profile.flags);
    word(flag);
    const bool is_closed_early = flag == "S0" || flag == "REJ" || flag == "SH";
    const bool is_logged_in = !is_closed_early && chance(profile.logged_in);
    number(is_closed_early ? 0 : draw(profile.src_bytes));
    number(is_closed_early ? 0 : draw(profile.dst_bytes));
    number(0);                                     // land
    number(profile.fragments);                     // wrong_fragment
    number(0);                                     // urgent
    number(draw(profile.hot));                     // hot
    number(chance(profile.failed_login) ? 1 : 0);  // num_failed_logins
    number(is_logged_in ? 1 : 0);                  // logged_in
    number(draw(profile.compromised));             // num_compromised
    const bool has_root = chance(profile.root_shell);
    number(has_root ? 1 : 0);                 // root_shell
    number(0);                                // su_attempted
    number(has_root ? draw({0, 5}) : 0);      // num_root
    number(has_root ? draw({0, 3}) : 0);      // num_file_creations
    number(has_root && chance(0.3) ? 1 : 0);  // num_shells
    number(chance(0.01) ? 1 : 0);             // num_access_files
    number(0);                                // num_outbound_cmds
    number(0);                                // is_host_login
    number(chance(profile.guest) ? 1 : 0);    // is_guest_login

    const double count = std::max(1.0, draw(profile.count));
    const double same = near(profile.same_service);
    number(count);
    number(std::max(1.0, std::round(count * same)));
    errors(profile);
    rate(same);
    rate(same < 1 ? near(0.06) : 0);
    rate(chance(0.2) ? random_.uniform() : 0);  // srv_diff_host_rate

    const double host_count = std::max(1.0, draw(profile.host_count));
    const double host_same = near(profile.same_service);
    number(host_count);
    number(std::max(1.0, std::round(host_count * host_same)));
    rate(host_same);
    rate(host_same < 1 ? near(0.05) : 0);
    rate(profile.protocol == "icmp" ? near(1) : near(0.02));  // same source port
    rate(near(0.02));
    errors(profile);
    text_.append(profile.attack).append(".\n");
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  [[nodiscard]] bool chance(double probability) { return random_.uniform() < probability; }

  [[nodiscard]] double draw(Range range) {
    const double low = std::log1p(range.low);
    const double high = std::log1p(range.high);
    return std::round(std::expm1(low + (high - low) * random_.uniform()));
  }

  // near returns a share about `mean`, and now and then any share.
  [[nodiscard]] double near(double mean) {
    if (chance(0.03)) return random_.uniform();
    return std::clamp(mean + 0.05 * random_.normal(), 0.0, 1.0);
  }

  [[nodiscard]] std::string_view pick(std::span<const std::string_view> words) {
    return chance(0.5) ? words.front() : words[random_.below(words.size())];
  }

  // errors writes the four error rates: SYN errors of host and service, REJ errors of both.
  void errors(const Profile& profile) {
    for (const double mean : {profile.serror, profile.rerror}) {
      rate(mean > 0 ? near(mean) : 0);
      rate(mean > 0 ? near(mean) : 0);
    }
  }

  void word(std::string_view value) { text_.append(value) += ','; }
  void number(double value) { text_ += std::to_string(static_cast<long long>(value)) + ','; }
  void rate(double value) {
    std::array<char, 16> digits{};
    std::snprintf(digits.data(), digits.size(), "%.2f,", value);
    text_ += digits.data();
  }

  SeededRandom& random_;
  std::string text_;
};

std::string synthetic_text(std::size_t rows, double Profile::*weight, SeededRandom random) {
  double total = 0;
  for (const Profile& profile : profiles()) total += profile.*weight;
  RowWriter writer(random);
  for (std::size_t i = 0; i < rows; ++i) {
    double left = random.uniform() * total;
    for (const Profile& profile : profiles()) {
      left -= profile.*weight;
      if (left < 0) {
        writer.write(profile);
        break;
      }
    }
  }
  return writer.text();
}

}  // namespace

void write_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                     const SyntheticSizes& sizes) {
  std::filesystem::create_directories(directory);
  write_file_atomic(directory / "kddcup.data_10_percent",
                    synthetic_text(sizes.train_rows, &Profile::train_weight,
                                   SeededRandom(seed, "synthetic train")));
  write_file_atomic(directory / "corrected", synthetic_text(sizes.test_rows, &Profile::test_weight,
                                                            SeededRandom(seed, "synthetic test")));
}

}  // namespace blindsum::data
