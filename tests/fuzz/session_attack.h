// A live session under attack: the other roles of a small federation are honest, and the input
// decides what becomes of their messages on the way to it.
#pragma once

#include "shared/core/bytes.h"
#include "shared/wire/messages.h"

namespace blindsum::fuzz {

// Step is the first byte of each step of an input; what follows it is written beside it. A byte
// that is missing is 0.
enum class Step : std::uint8_t {
  kDeliver,      // the next message that waits for the target
  kDeliverLast,  // the last one: overtaking
  kDrop,         // the next one is lost
  kReplay,       // index: one that came before, again
  kForge,        // index, sender: one that came before, as if by another peer
  kEdit,         // edits (see Edit), each with its bytes: a changed copy of the next one
  kEditOld,      // index, edits: a changed copy of one that came before
  kRaw,          // sender, length, bytes
  kWait,         // index of a time: the clock goes on, deadlines are called
  kCutOff,       // peer: cannot be reached, or can be again
  kWorkAhead,    // the target's turn to work ahead
  kDeliverAll,   // all that waits, and all that follows from it, up to 32 messages
  kCount,
};

// Edit changes one field of an encoded message. Its first byte says how, after which come the
// field's index and what is written beside it; kNone ends the edits.
enum class Edit : std::uint8_t {
  kNone,
  kSetByte,   // position (2 bytes), value; of an integer: its value
  kAdd,       // position (2 bytes), signed difference
  kResize,    // signed difference of the length
  kTake,      // index of a message that came before: its field
  kRemove,    // no more
  kRepeat,    // no more
  kFlipByte,  // position (2 bytes), mask: of the encoded message
  kCount,
};

// attack_session runs `program` against the session of `target` and checks what it says and does.
void attack_session(const wire::Peer& target, ByteView program);

}  // namespace blindsum::fuzz
