// fuzz_<target> [--mutations N] [--seed S] FILE|FOLDER… : runs a target without libFuzzer on the
// given inputs and then on N mutations of them, which depend on the seed alone. An input that
// breaks the target is kept as fuzz-<target>.input in the working directory.
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "tests/fuzz/target.h"

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t max_size,
                                                                     unsigned seed);

namespace {

using namespace blindsum;

constexpr std::size_t kMaxInput = 16384;

SeededRandom* mutation_random = nullptr;
std::optional<Bytes> current;  // the input at work
std::string kept_path;

void keep_current() {
  const int file = open(kept_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0 || !current) return;
  const bool is_kept = write(file, current->data(), current->size()) >= 0;
  close(file);
  const std::string text = is_kept ? "the input is kept in " + kept_path + "\n" : "";
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void on_fatal_signal(int number) {
  keep_current();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run(const Bytes& input) {
  current.emplace(input.begin(), input.end());  // of the exact size: a read beyond the end is one
  LLVMFuzzerTestOneInput(current->data(), current->size());
  current.reset();
}

std::vector<Bytes> read_inputs(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  std::vector<Bytes> inputs;
  for (const auto& file : files) inputs.push_back(read_file(file));
  return inputs;
}

std::uint64_t number_from(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::invalid_argument("'" + std::string(text) + "' is not a number");
  }
  return number;
}

Bytes mutated(const std::vector<Bytes>& inputs, SeededRandom& random) {
  Bytes bytes = inputs[random.below(inputs.size())];
  const std::size_t max = std::max(kMaxInput, bytes.size());
  for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
    const std::size_t size = bytes.size();
    bytes.resize(max);
    const auto seed = static_cast<unsigned>(random.next_u64());
    bytes.resize(LLVMFuzzerCustomMutator != nullptr
                     ? LLVMFuzzerCustomMutator(bytes.data(), size, max, seed)
                     : LLVMFuzzerMutate(bytes.data(), size, max));
  }
  if (random.below(8) == 0) {  // the beginning of one, the end of another
    const Bytes& other = inputs[random.below(inputs.size())];
    bytes.resize(random.below(bytes.size() + 1));
    const std::size_t from = random.below(other.size() + 1);
    bytes.insert(bytes.end(), other.begin() + static_cast<long>(from), other.end());
  }
  return bytes;
}

}  // namespace

// One small change, as a target's own mutator may ask for it.
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size) {
  SeededRandom& random = *mutation_random;
  constexpr std::array<std::uint8_t, 10> kOdd{0x00, 0x01, 0x7f, 0x80, 0xff,
                                              0xc4, 0xdc, ',',  '"',  '\n'};
  const auto byte = [&] {
    return random.below(2) == 0 ? kOdd[random.below(kOdd.size())]
                                : static_cast<std::uint8_t>(random.next_u64());
  };
  const std::uint64_t kind = size == 0 ? 3 : random.below(6);
  const std::size_t at = size == 0 ? 0 : random.below(size);
  const std::size_t run = 1 + random.below(8);
  switch (kind) {
    case 0:
      data[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
      return size;
    case 1:
      data[at] = byte();
      return size;
    case 2: {  // remove a run
      const std::size_t gone = std::min(run, size - at);
      std::memmove(data + at, data + at + gone, size - at - gone);
      return size - gone;
    }
    case 3: {  // insert a run
      const std::size_t more = std::min(run, max_size - size);
      std::memmove(data + at + more, data + at, size - at);
      std::generate_n(data + at, more, byte);
      return size + more;
    }
    case 4: {  // say a part twice
      const std::size_t more = std::min({1 + random.below(64), size - at, max_size - size});
      std::memmove(data + at + more, data + at, size - at);
      return size + more;
    }
    default:  // cut the end off
      return at;
  }
}

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  kept_path = name + ".input";
  std::uint64_t mutations = 0;
  std::uint64_t seed = 1;
  std::vector<std::filesystem::path> paths;
  try {
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      if ((argument == "--mutations" || argument == "--seed") && i + 1 < argc) {
        (argument == "--seed" ? seed : mutations) = number_from(argv[++i]);
      } else {
        paths.emplace_back(argument);
      }
    }
    const std::vector<Bytes> inputs = read_inputs(paths);
    if (inputs.empty()) {
      std::cerr << "usage: " << name << " [--mutations N] [--seed S] FILE|FOLDER...\n";
      return 2;
    }
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) {
      std::signal(number, on_fatal_signal);
    }
    std::cout << name << ": " << inputs.size() << " inputs, " << mutations
              << " mutations with seed " << seed << std::endl;
    for (const Bytes& input : inputs) run(input);
    SeededRandom random(seed, name);
    mutation_random = &random;
    for (std::uint64_t i = 0; i < mutations; ++i) run(mutated(inputs, random));
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
    if (current) keep_current();
    return 1;
  }
  return 0;
}
