#include "tests/protocol/simulated_store.h"

#include <stdexcept>
#include <utility>

#include "shared/core/error.h"

namespace blindsum::simulation {

// Memory keeps everything, like a disk that never fails.
class Disk::Memory : public key_holder::StateStore {
 public:
  explicit Memory(Disk& disk) : disk_(disk) {}

  key_holder::Recovered recover() override {
    std::optional<Checkpoint> found = disk_.newer_;
    if (found && disk_.stage_->schedule().is_newest_checkpoint_lost) {
      disk_.stage_->count("newest checkpoint lost");
      found = disk_.older_;
    }
    key_holder::Recovered recovered;
    if (found) {
      recovered.round = found->round;
      recovered.checkpoint = found->content;
    }
    for (const auto& entry : disk_.journal_) {
      if (!found || entry.round > found->round) recovered.journal.push_back(entry);
    }
    return recovered;
  }

  void append(std::uint32_t round, ByteView content) override {
    if (round != disk_.journal_.size()) throw std::logic_error("a gap in the journal");
    disk_.journal_.push_back({round, Bytes(content.begin(), content.end())});
  }

  void checkpoint(std::uint32_t round, ByteView content) override {
    if (round + 1 != disk_.journal_.size()) throw std::logic_error("a checkpoint of another round");
    disk_.older_ =
        std::exchange(disk_.newer_, Checkpoint{round, Bytes(content.begin(), content.end())});
  }

 private:
  Disk& disk_;
};

// Faulty is a store that can be killed or full.
class Disk::Faulty : public key_holder::StateStore {
 public:
  Faulty(Disk& disk, std::unique_ptr<StateStore> inner) : disk_(disk), inner_(std::move(inner)) {}

  key_holder::Recovered recover() override {
    key_holder::Recovered recovered = inner_->recover();
    if (disk_.stage_->schedule().mistake == Schedule::Mistake::kForgetfulStore &&
        !recovered.journal.empty()) {
      recovered.journal.pop_back();
      disk_.journal_.pop_back();
    }
    for (const auto& entry : recovered.journal) disk_.oracle_->kept(entry.content);
    return recovered;
  }

  void append(std::uint32_t round, ByteView content) override {
    if (is_shut_) throw std::logic_error("a store that has failed is used");
    Stage& stage = *disk_.stage_;
    stage.reach(wire::kKeyHolderPeer, Point::kAppending);
    if (const DiskFull* full = full_at(false, disk_.appends_++)) {
      is_shut_ = true;
      if (full->is_kept) inner_->append(round, content);
      throw StorageError("the journal: cannot be written: no space left (simulated)");
    }
    inner_->append(round, content);
    disk_.oracle_->kept(content);
    stage.reach(wire::kKeyHolderPeer, Point::kAppended);
  }

  void checkpoint(std::uint32_t round, ByteView content) override {
    if (is_shut_) throw std::logic_error("a store that has failed is used");
    Stage& stage = *disk_.stage_;
    stage.reach(wire::kKeyHolderPeer, Point::kCheckpointing);
    if (full_at(true, disk_.checkpoints_++) != nullptr) {
      throw StorageError("the checkpoint: cannot be written: no space left (simulated)");
    }
    inner_->checkpoint(round, content);
    stage.reach(wire::kKeyHolderPeer, Point::kCheckpointed);
  }

 private:
  [[nodiscard]] const DiskFull* full_at(bool is_checkpoint, std::uint32_t occurrence) const {
    for (const DiskFull& full : disk_.stage_->schedule().full_disks) {
      if (full.is_checkpoint == is_checkpoint && full.occurrence == occurrence) {
        disk_.stage_->count(is_checkpoint ? "disk full at a checkpoint" : "disk full at an append");
        disk_.stage_->trace([] { return std::string("the disk is full"); });
        return &full;
      }
    }
    return nullptr;
  }

  Disk& disk_;
  std::unique_ptr<StateStore> inner_;
  bool is_shut_ = false;
};

std::unique_ptr<key_holder::StateStore> Disk::open() {
  std::unique_ptr<key_holder::StateStore> inner = folder_.empty()
                                                      ? std::make_unique<Memory>(*this)
                                                      : key_holder::make_file_store(folder_, run_);
  return std::make_unique<Faulty>(*this, std::move(inner));
}

}  // namespace blindsum::simulation
