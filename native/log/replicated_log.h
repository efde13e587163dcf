// The one interface to a replicated log, and the values it speaks in.
//
// `MesosLog` (../mesos) is the real one; `MemoryLog` is a test double with the same behaviour and
// a switch for every fault the real one shows. Whoever holds a ReplicatedLog knows nothing of what
// the entries mean.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <string>

namespace aurora {

using Position = std::uint64_t;
using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

enum class Status : int {
  ok = 0,
  none = 1,       // refused: another writer has promised higher (append, truncate, elect)
  failed = 2,     // the log said why in `reason`
  no_answer = 3,  // no quorum answered before the deadline; an append may still be committed later
  closed = 4,     // the log was closed before or during the call
  truncated = 5,  // the wanted positions are before the beginning of the log
  missing = 6,    // the local replica lacks a position (a hole): catch up
  pending = 7,    // the local replica does not know yet whether a position is agreed: wait
  end = 8,        // a bounded stream has delivered its last entry
  corrupt = 9,    // an entry fails its check, or does not fit what came before it
  too_new = 10,   // an entry was written by a newer release
};

const char* to_string(Status status);

struct Outcome {
  Status status = Status::ok;
  Position position = 0;
  std::string reason;
  bool unsent = false;  // of an append that is not ok: nothing left this process, for certain

  bool ok() const { return status == Status::ok; }
  static Outcome at(Position position) { return {Status::ok, position, {}, false}; }
  static Outcome of(Status status, std::string reason) {
    return {status, 0, std::move(reason), false};
  }
};

// Layout is that of mesos::log::Log::Entry (mesos/abi.h asserts it), so that a list of entries
// read by libmesos is moved, not copied.
struct Entry {
  Position position = 0;
  std::string data;
};

// All calls block until they have an outcome, the deadline passes, or close() is called from
// another thread; none throws. Any thread may call anything at any time: an implementation
// serialises the three writer calls among themselves, and readers never wait for the writer.
class ReplicatedLog {
 public:
  virtual ~ReplicatedLog() = default;

  // Becomes the only writer: every earlier writer is fenced. ok: `position` is the last position
  // of the log, and the local replica can be read completely up to it. Tries again by itself
  // while refused ("none"), until the deadline.
  virtual Outcome elect(Deadline deadline) = 0;

  // ok: `data` is at `position` on a quorum of replicas, on disk. After any other status the
  // writer is not elected any more and every append answers "none" until elect() succeeds.
  // Unless it is `unsent`, any of them leaves open whether the entry is, or will be, in the log: the
  // next elected writer settles it.
  virtual Outcome append(const std::string& data, Deadline deadline) = 0;

  // Forgets every position below `to`. `failed` if `to` is past the end of the log.
  virtual Outcome truncate(Position to, Deadline deadline) = 0;

  // First position not truncated, and the highest position the local replica knows of (which it
  // may not have learned yet).
  virtual Outcome beginning(Deadline deadline) = 0;
  virtual Outcome ending(Deadline deadline) = 0;

  // Appends to `entries` what the local replica has in [from, to], both inclusive, in order.
  // Positions that hold no entry (no-ops, truncations) are left out. A hole *at the end* of the
  // range goes unnoticed: only entries up to the last one returned, or up to a `to` known to be
  // present, are certain to be complete. EntryStream (entry_stream.h) takes care of that.
  // Other outcomes: truncated, missing, pending, failed (past the end).
  virtual Outcome read(Position from, Position to, std::list<Entry>* entries,
                       Deadline deadline) = 0;

  // Makes the local replica ask a quorum for everything it lacks. ok: `position` up to which it is
  // complete now. Scans from the beginning of the log: costly on a long one.
  virtual Outcome catchup(Deadline deadline) = 0;

  // Gives the disk space of truncated entries back, while everything else goes on. ok: `position` is
  // the beginning that it went up to. no_answer: it goes on by itself. A log that keeps nothing of
  // them has nothing to do; one that cannot do it answers `failed`, and compacts() is false.
  virtual Outcome compact(Deadline deadline) { return beginning(deadline); }
  virtual bool compacts() const { return true; }

  // About how many bytes of the local disk the entries in [from, to) take; what was written last may
  // not count yet. 0 where it cannot be told, which is where compacts() is false.
  virtual std::uint64_t disk_bytes(Position /*from*/, Position /*to*/) { return 0; }

  // Ends every call under way with `closed`, and every later one. Idempotent; returns when no
  // call is inside any more.
  virtual void close() = 0;
};

}  // namespace aurora
