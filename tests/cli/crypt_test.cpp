// 'blindsum crypt': its verbs on files and streams, what it refuses, and files of an independent
// program in the same form.
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

struct Files {
  TempDir dir;

  [[nodiscard]] std::string path(const std::string& name) const {
    return (dir.path() / name).string();
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    return read_text_file(path(name));
  }
  void write(const std::string& name, const std::string& content, unsigned mode = 0600) const {
    write_file_atomic(path(name), content, mode);
  }
  [[nodiscard]] Outcome bash(const std::string& script) const {
    return run_program("/bin/bash",
                       {"-c", "cd '" + dir.path().string() + "'; crypt() { '" + blindsum_path() +
                                  "' crypt \"$@\"; }; " + script},
                       dir.path());
  }
  // good runs a script that must succeed and returns its output, without the last newline.
  std::string good(const std::string& script) const {
    const Outcome outcome = bash("set -eo pipefail; " + script);
    CAPTURE(script);
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 0);
    return outcome.out.substr(0, outcome.out.find_last_not_of('\n') + 1);
  }
  // refused runs a script that must fail with this code and message.
  void refused(int code, const std::string& message, const std::string& script) const {
    const Outcome outcome = bash(script);
    CAPTURE(script);
    CHECK(outcome.exit_code == code);
    CHECK_MESSAGE(outcome.err.find(message) != std::string::npos, outcome.err);
    CHECK(outcome.out.empty());
  }
};

TEST_CASE("numbers are encrypted, computed with and decrypted, in files and in streams") {
  const Files files;
  files.good("crypt genpkey --keysize 2048 --id 'of \"tests\"' private.json");
  CHECK((std::filesystem::status(files.path("private.json")).permissions() &
         std::filesystem::perms(077)) == std::filesystem::perms::none);
  CHECK(json::parse(files.text("private.json"))["pub"]["kid"] == "of \"tests\"");
  files.good("crypt extract private.json public.json");
  CHECK(json::parse(files.text("public.json")) == json::parse(files.text("private.json"))["pub"]);
  CHECK(files.good("crypt extract - - < private.json | diff - public.json") == "");

  files.good("crypt encrypt public.json 3.5 --output a.json");
  files.good("echo -1.25 | crypt encrypt public.json - > b.json");
  CHECK(json::parse(files.text("a.json"))["e"] == -32);
  CHECK(files.good("crypt decrypt private.json a.json") == "3.5");
  CHECK(files.good("crypt decrypt private.json - < b.json") == "-1.25");
  CHECK(files.good("crypt decrypt - a.json < private.json") == "3.5");
  const std::string open = " | crypt decrypt private.json -";
  CHECK(files.good("crypt addenc public.json a.json b.json" + open) == "2.25");
  CHECK(files.good("crypt addenc public.json - b.json < a.json" + open) == "2.25");
  CHECK(files.good("crypt add public.json a.json -10" + open) == "-6.5");
  CHECK(files.good("crypt add public.json a.json -- -10" + open) == "-6.5");
  CHECK(files.good("crypt multiply public.json a.json -0.5" + open) == "-1.75");
  CHECK(files.good("crypt multiply public.json a.json 0" + open) == "0");
  files.good("crypt multiply public.json a.json 1e3 --output c.json");
  CHECK(json::parse(files.text("c.json"))["e"] == -64);
  CHECK(files.good("crypt add public.json c.json 1" + open) == "3501");
  CHECK(files.good("crypt encrypt public.json 123456789012345678901234567890" + open) ==
        "123456789012345678901234567890");
  CHECK(files.good("crypt encrypt public.json 0.1" + open) == "0.1");
  CHECK(files.good("crypt encrypt public.json 0.1" + open + " --exact") ==
        "0.1000000000000000055511151231257827021181583404541015625");

  // The exponent says nothing about the number unless that is asked for.
  CHECK(files.good("crypt encrypt public.json 1e-30 --round --exponent -32" + open) ==
        "1.000000000232341e-30");
  CHECK(json::parse(files.good("crypt encrypt public.json 1e-30 --adaptive"))["e"] == -38);
  CHECK(json::parse(files.good("crypt encrypt public.json 2 --adaptive"))["e"] == -32);
  CHECK(json::parse(files.good("crypt multiply public.json a.json 2.0 --adaptive"))["e"] == -45);
  CHECK(files.good("crypt encrypt public.json 1e-30 --adaptive" + open) == "1e-30");

  // What is written is fresh every time.
  CHECK(files.good("crypt addenc public.json a.json b.json") !=
        files.good("crypt addenc public.json a.json b.json"));
}

TEST_CASE("files of an independent program in python-paillier's form go both ways") {
  const Files files;
  const std::string script = (std::filesystem::current_path() / "tests/vectors").string();
  if (files.bash("command -v python3").exit_code != 0) {
    MESSAGE("SKIPPED: no python3");
    return;
  }
  const auto other = [&](const std::string& words) {
    return "PYTHONDONTWRITEBYTECODE=1 python3 '" + script + "/python_paillier.py' " + words;
  };
  // One exchange at 2048 bits; the rest at 512, for time.
  for (const std::string bits : {"2048", "512"}) {
    const std::string insecure = bits == "512" ? " --insecure " : " ";
    const auto ours = [&](const std::string& words) { return "crypt " + words + insecure; };
    files.good("rm -f *.json");
    files.good(ours("genpkey --keysize " + bits + " ours_private.json"));
    files.good(ours("extract ours_private.json ours.json"));
    Words makers{"ours"};
    if (bits == "512") {
      makers.emplace_back("theirs");
      files.good("umask 077; " + other("key 512 > theirs_private.json") + "; " +
                 other("extract theirs_private.json > theirs.json"));
      const Outcome noted = files.bash(ours("extract theirs_private.json extracted.json"));
      CHECK(noted.exit_code == 0);
      CHECK(noted.err.find("not safe primes") != std::string::npos);
      CHECK(json::parse(files.text("extracted.json")) == json::parse(files.text("theirs.json")));
    }

    for (const std::string& maker : makers) {
      const std::string key = maker + ".json ";
      const std::string secret = maker + "_private.json ";
      const auto values = bits == "2048" ? Words{"-7.25"} : Words{"0.1", "-1e-09", "1e+20"};
      for (const std::string& value : values) {
        CAPTURE(value);
        const double x = std::stod(value);
        files.good(ours("encrypt " + key + value + " --output x.json"));
        CHECK(std::stod(files.good(other("decrypt " + secret + "x.json"))) == x);
        files.good(other("encrypt " + key + value) + " > y.json");
        CHECK(std::stod(files.good(ours("decrypt " + secret + "y.json"))) == x);
        files.good(ours("addenc " + key + "x.json y.json --output z.json"));
        CHECK(std::stod(files.good(other("decrypt " + secret + "z.json"))) == 2 * x);
        files.good(ours("multiply " + key + "y.json -4 --output z.json"));
        CHECK(std::stod(files.good(other("decrypt " + secret + "z.json"))) == -4 * x);
      }
    }
  }
}

TEST_CASE("what is wrong is refused, by name and with its exit code, and nothing is written") {
  const Files files;
  files.good("crypt genpkey --insecure --keysize 256 private.json 2> note; grep INSECURE note");
  files.good("crypt extract --insecure private.json public.json");
  files.good("crypt encrypt --insecure public.json 5 --output a.json");

  files.refused(2, "--insecure", "crypt genpkey --keysize 1024 k.json");
  files.refused(2, "even number", "crypt genpkey --insecure --keysize 257 k.json");
  files.refused(2, "even number", "crypt genpkey --insecure --keysize 64 k.json");
  files.refused(4, "never overwritten", "crypt genpkey private.json");
  files.refused(2, "overwrite the private key",
                "crypt extract --insecure private.json ./private.json");
  files.refused(2, "not a regular file", "crypt extract --insecure private.json /dev/null");
  files.refused(4, "--insecure admits this key", "crypt extract private.json -");
  files.refused(4, "--insecure admits this key", "crypt encrypt public.json 1");
  files.refused(4, "chmod 600",
                "cp private.json open.json; chmod 644 open.json; "
                "crypt decrypt --insecure open.json a.json");
  files.refused(4, "k.json", "crypt decrypt k.json a.json");
  files.refused(2, "k.json", "crypt encrypt k.json 1");
  files.refused(2, "only one", "crypt add --insecure public.json - - < a.json");
  files.refused(4, "private key",
                "chmod 600 public.json; crypt decrypt --insecure public.json a.json");

  for (const std::string number : {"nan", "inf", "-inf", "1e400", "0x10", "''", "1,5"}) {
    files.refused(2, "PLAINTEXT", "crypt encrypt --insecure public.json -- " + number);
  }
  files.refused(2, "does not fit", "crypt encrypt --insecure public.json 1e40");
  files.refused(2, "multiple of 16^-32", "crypt encrypt --insecure public.json 1e-30");
  files.refused(2, "an exponent of",
                "crypt encrypt --insecure public.json 1 --exponent -2147483648");
  files.refused(2, "an exponent of", "crypt encrypt --insecure public.json 1 --exponent 16385");
  files.refused(2, "", "crypt encrypt --insecure public.json 1 --exponent 99999999999");
  files.refused(2, "excludes", "crypt encrypt --insecure public.json 1 --round --adaptive");
  files.refused(2, "subcommand", "crypt");

  const std::string v = json::parse(files.text("a.json"))["v"];
  const auto number = [&](const json& changed) {
    files.write("bad.json", changed.dump());
    return "crypt decrypt --insecure private.json bad.json";
  };
  files.refused(3, "'v'", number({{"v", "-1"}, {"e", 0}}));
  files.refused(3, "'v'", number({{"v", "0"}, {"e", 0}}));
  files.refused(3, "'v'", number({{"v", v + "0000"}, {"e", 0}}));
  files.refused(3, "'v'", number({{"v", 17}, {"e", 0}}));
  files.refused(3, "'e'", number({{"v", v}, {"e", 2147483648}}));
  files.refused(3, "'e'", number({{"v", v}, {"e", -1000000000}}));
  files.refused(3, "'e'", number({{"v", v}, {"e", 0.5}}));
  files.refused(3, "'e'", number({{"v", v}}));
  files.refused(3, "not JSON", "crypt decrypt --insecure private.json - <<< '{'");
  files.refused(3, "more than 65536 bytes",
                "head -c 70000 /dev/zero | crypt decrypt --insecure private.json -");
  files.refused(2, "cannot be read", "crypt decrypt --insecure private.json nowhere.json");
  files.refused(2, "cannot be read", "crypt decrypt --insecure private.json .");
  // The largest exponents that are admitted cost little.
  (void)number({{"v", v}, {"e", 16384}});
  files.good("ulimit -v 2000000; crypt decrypt --insecure private.json bad.json > digits");
  (void)number({{"v", v}, {"e", -16384}});
  files.good("ulimit -v 2000000; crypt decrypt --insecure --exact private.json bad.json > digits");
  files.refused(3, "too far apart", "crypt addenc --insecure public.json bad.json a.json");

  // Products overflow this small key, and the middle third says so.
  files.good("crypt multiply --insecure public.json a.json 1e36 --exponent 0 --output b.json");
  files.refused(7, "overflow",
                "for i in 1 2 3 4 5 6 7 8 9; do crypt multiply --insecure public.json b.json 2 "
                "--exponent 0 --output b.json || exit 1; "
                "crypt decrypt --insecure private.json b.json > digits || exit $?; done");

  CHECK_FALSE(std::filesystem::exists(files.path("k.json")));
  CHECK(files.good("crypt decrypt --insecure private.json a.json") == "5");
}

}  // namespace
}  // namespace blindsum::test
