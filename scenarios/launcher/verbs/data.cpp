#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/verbs/verbs.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"

namespace blindsum::launcher {
namespace {

void check_file(const char* use, const std::filesystem::path& path, std::string_view expected) {
  const data::RawFile file = data::read_raw(path);
  std::array<std::size_t, data::kClasses> rows{};
  for (const std::uint16_t attack : file.attacks) {
    ++rows.at(static_cast<std::size_t>(data::class_of(file.attack_names[attack])));
  }
  const std::string digest = data::text_sha256(path);
  std::cout << use << " " << path.string() << "\n  rows " << file.rows() << ":";
  for (std::size_t c = 0; c < data::kClasses; ++c) {
    std::cout << " " << to_string(static_cast<data::TrafficClass>(c)) << " " << rows[c];
  }
  std::cout << "\n  sha256 " << digest
            << (digest == expected ? " (the published KDD'99 file)\n"
                                   : " (NOT the published KDD'99 file)\n");
}

void add_check(CLI::App& verb, Job& job) {
  const auto directory = std::make_shared<std::string>();
  auto* check = verb.add_subcommand("check", "Read both KDD files and show what they hold");
  check->add_option("DIR", *directory, "Folder of the files")->required();
  check->footer("Example: blindsum data check data");
  check->callback([directory, &job] {
    job = [=] {
      const data::KddFiles files = data::find_kdd(*directory);
      check_file("train", files.train, data::kTrainSha256);
      check_file("test ", files.test, data::kTestSha256);
      return 0;
    };
  });
}

struct SynthArguments {
  std::string directory;
  std::uint64_t seed = 1;
};

void add_synth(CLI::App& verb, Job& job) {
  const auto arguments = std::make_shared<SynthArguments>();
  auto* synth = verb.add_subcommand("synth", "Write a synthetic pair of KDD-like files");
  synth->add_option("DIR", arguments->directory, "Folder of the new files")->required();
  synth->add_option("--seed", arguments->seed, "Seed")->capture_default_str();
  synth->footer("Example: blindsum data synth synthetic-data");
  synth->callback([arguments, &job] {
    job = [=] {
      std::filesystem::create_directories(arguments->directory);
      data::write_synthetic(arguments->directory, arguments->seed);
      std::cout << "synthetic KDD-like files in " << arguments->directory << "\n";
      return 0;
    };
  });
}

}  // namespace

void add_data(CLI::App& app, Job& job) {
  auto* verb = app.add_subcommand("data", "Check data files, or make synthetic ones");
  verb->require_subcommand(1);
  verb->footer("Example: blindsum data check data");
  add_check(*verb, job);
  add_synth(*verb, job);
}

}  // namespace blindsum::launcher
