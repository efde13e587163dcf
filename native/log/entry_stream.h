// Reads a range of a log, or a log for ever, in order and without gaps, in bounded memory.
//
// A thread of its own reads ahead in windows (small at first, so that the first entry comes at
// once; then up to `window_bytes`), at most two windows before the consumer. A log does not notice
// a hole at the end of what is read (ReplicatedLog::read), so a window counts up to its last entry,
// and the next one begins right after that. Positions that hold no entry are skipped knowingly:
// progress().next moves over them.
//
// When the local replica lacks a position, or does not learn one for `catchup_after`, the stream
// calls catchup() and goes on. At the end of the log a stream without `to` polls, first often, then
// every `poll_max`.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <optional>

#include "log/replicated_log.h"

namespace aurora {

class EntryStream {
 public:
  struct Options {
    Position from = 0;            // first position wanted; below the log's beginning: truncated
    bool from_beginning = false;  // start at the log's beginning, wherever that is; ignores `from`
    std::optional<Position> to;   // last position wanted; none: for ever
    std::size_t window_bytes = 4 << 20;
    std::chrono::milliseconds poll_min{1};
    std::chrono::milliseconds poll_max{20};
    std::chrono::milliseconds catchup_after{1000};
  };

  struct Progress {
    std::uint64_t entries = 0;  // handed to the consumer
    std::uint64_t bytes = 0;
    Position next = 0;          // everything before it was handed out or holds no entry
    Position ending = 0;        // the end of the log as last seen
    std::uint64_t catchups = 0;
    std::uint64_t buffered_bytes_max = 0;  // the most that was ever read ahead
  };

  EntryStream(ReplicatedLog& log, Options options);
  ~EntryStream();  // cancels and joins
  EntryStream(const EntryStream&) = delete;
  EntryStream& operator=(const EntryStream&) = delete;

  // Moves the next entries (at least one) into `entries`, in order.
  //   ok         entries were added
  //   end        a bounded stream is complete; nothing was added
  //   no_answer  nothing came before the deadline; call again. progress().next may have moved
  //   truncated  the log begins after the next position wanted; `position` is its beginning
  //   failed     the log cannot be read; final
  //   closed     cancel() or the log's close(); final
  Outcome next(std::list<Entry>* entries, Deadline deadline);

  Progress progress() const;

  // Ends the next() under way, or the next one, with no_answer, without waiting for its deadline.
  void interrupt();

  // Ends next() in any thread. The read under way may still finish in the background.
  void cancel();

 private:
  // Implementation's business.
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aurora
