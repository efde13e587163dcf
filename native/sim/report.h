// What a run says: its steps, the dangerous windows that it reached, and why it failed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace aurora::sim {

// What must happen sometimes, over all seeds: a simulation that never gets there proves nothing
// about it. The names are in report.cc.
enum class Window {
  crash_idle,
  crash_published,
  crash_before_append,
  crash_minority_append,
  crash_after_quorum,
  crash_acknowledged,
  crash_between_parts,
  crash_electing,
  crash_opening,
  crash_untold,
  append_lost_promise,
  append_unanswered,
  append_unanswered_seen,
  append_by_a_fenced_leader,
  append_in_a_minority,
  append_unsent,
  election_promise_only,
  election_unanswered,
  two_leaders,
  leader_held_up,
  leader_cut_off,
  quorum_lost,
  group_commit,
  parts,
  parts_without_end,
  commit_settled_in,
  commit_settled_out,
  commit_unknown,
  unknown_was_in,
  unknown_was_out,
  token_said_in,
  token_said_out,
  token_again,
  token_found,
  versions_taken_back,
  connection_stale,
  view_across_commit,
  rolled_back,
  cut_to_size,
  not_leader,
  writer_waited,
  stepped_down,
  closed_in_reign,
  hole,
  unlearned,
  catchup,
  damaged_read,
  torn_read,
  reloaded,
  failed,
  damaged_disk,
  damaged_log,
  wiped,
  heartbeat,
  snapshot,
  snapshot_beside_commits,
  snapshot_resumed,
  snapshot_loading,
  snapshot_damaged,
  crash_in_snapshot,
  crash_loading,
  started_from_snapshot,
  truncated,
  away_too_long,
  count
};
constexpr std::size_t kWindows = static_cast<std::size_t>(Window::count);
const char* name_of(Window window);

using Windows = std::array<std::uint64_t, kWindows>;

// The run of one seed, as far as it has come; one at a time.
class Run {
 public:
  // `aloud`: prints every step. `again`: what to type to see the same run again.
  Run(std::uint64_t seed, bool aloud, std::string again);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const Windows& windows() const { return windows_; }
  std::uint64_t digest() const { return digest_; }  // of all its steps

  static Run* current();
  void note(std::string step);
  void reach(Window window) { ++windows_[static_cast<std::size_t>(window)]; }
  [[noreturn]] void fail(const char* invariant, const std::string& what);

  // To stderr: the seed, its last steps, and how to see it again.
  void print_end(const char* headline, const std::string& what) const;

 private:
  const std::uint64_t seed_;
  const bool aloud_;
  const std::string again_;
  Windows windows_{};
  std::uint64_t digest_ = 0;
  std::uint64_t steps_ = 0;
  static constexpr std::size_t kKept = 60;
  std::array<std::string, kKept> last_;
};

// Of the run that is on.
void note(std::string step);
void reach(Window window);
[[noreturn]] void fail(const char* invariant, const std::string& what);

}  // namespace aurora::sim
