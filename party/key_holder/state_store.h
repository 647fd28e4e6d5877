// What the key-holder must not forget: which aggregates it has opened, and the model they led to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/wire/messages.h"

namespace blindsum::key_holder {

// Recovered is what a store gives back when it is opened.
struct Recovered {
  std::uint32_t round = 0;  // of the checkpoint: the state after this round
  Bytes checkpoint;         // empty: none
  struct Entry {
    std::uint32_t round = 0;
    Bytes content;
  };
  std::vector<Entry> journal;  // entries of the rounds after the checkpoint, in order, without gaps
};

// StateStore keeps what must survive a crash of the key-holder: a journal of aggregates about to be
// opened, and checkpoints. Their contents are opaque to it. A round that was opened and forgotten
// could be opened again over other contributors, and the difference would be theirs: a store never
// takes a step back silently. Not thread-safe.
class StateStore {
 public:
  virtual ~StateStore() = default;

  // recover returns what was kept. Once, before anything else. Throws StorageError when it is
  // damaged or belongs to another run.
  virtual Recovered recover() = 0;

  // append adds the entry of `round`: 0 in a new store, else one more than the last. It is durable
  // when append returns. Throws StorageError; then the store must be opened anew.
  virtual void append(std::uint32_t round, ByteView content) = 0;

  // checkpoint keeps `content`, not empty, as the state after `round`, the last that was appended;
  // durable when it returns. Entries up to `round` are no longer needed. Throws StorageError; then
  // the journal still holds all that it held, and takes more.
  virtual void checkpoint(std::uint32_t round, ByteView content) = 0;
};

// make_file_store keeps the state of `run` in `folder`, which it makes, with mode 0700, when there
// is none. The files have mode 0600, and nobody else can open the folder as long as the store
// lives. Format: README.md. Cost of an append: one write and one fdatasync.
// Throws StorageError when the folder cannot be used, is open to writers other than its owner, or
// is in use by another process.
[[nodiscard]] std::unique_ptr<StateStore> make_file_store(const std::filesystem::path& folder,
                                                          const wire::RunId& run);

// make_null_store keeps nothing, for runs that need not survive.
[[nodiscard]] std::unique_ptr<StateStore> make_null_store();

}  // namespace blindsum::key_holder
