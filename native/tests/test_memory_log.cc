// The test double keeps the real log's rules: elections, truncation, reads, closing, threads.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "aurora_native.h"
#include "capi/handles.h"
#include "memory_log_harness.h"

using namespace aurora;
using namespace aurora::testing;
using std::chrono::milliseconds;

TEST_CASE("an empty log can be read, and ends where it begins") {
  Ensemble ensemble(1);
  CHECK(beginning(ensemble[0]) == 0);
  CHECK(ending(ensemble[0]) == 0);
  CHECK(read(ensemble[0], 0, 0) == "");
  CHECK(read(ensemble[0], 0, 1) == "failed: bad read range (past end of log)");
}

TEST_CASE("the first election takes position 0, so the first entry is at 1") {
  Ensemble ensemble(1);
  CHECK(elect(ensemble[0]) == 0);
  CHECK(append(ensemble[0], "a") == 1);
  CHECK(append(ensemble[0], "") == 2);
  CHECK(read(ensemble[0], 0, 2) == "1=a 2=");
}

TEST_CASE("entries of the writer can be read on every replica at once") {
  Ensemble ensemble(3);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  append(ensemble[0], "b");
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(ending(ensemble[i]) == 2);
    CHECK(read(ensemble[i], 1, 2) == "1=a 2=b");
    CHECK(read(ensemble[i], 2, 2) == "2=b");
  }
}

TEST_CASE("a replica that joins later has everything, but not what is unsettled") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(read(ensemble.join(), 0, 1) == "1=a");

  ensemble[0].arm("append-fails-but-is-in-log", 0, 1, 0);
  CHECK(ensemble[0].append("b", soon()).status == Status::no_answer);
  MemoryLog& third = ensemble.join();
  CHECK(ending(third) == 2);
  CHECK(read(third, 1, 2) == "pending");
}

TEST_CASE("nobody may write before an election") {
  Ensemble ensemble(1);
  CHECK(ensemble[0].append("a", patient()).status == Status::none);
  CHECK(ensemble[0].truncate(0, patient()).status == Status::none);
}

TEST_CASE("an election fences every earlier writer until it is elected again") {
  Ensemble ensemble(2);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(elect(ensemble[1]) == 1);
  CHECK(ensemble[0].append("lost", patient()).status == Status::none);
  CHECK(ensemble[0].append("lost", patient()).status == Status::none);
  CHECK(ensemble[0].truncate(1, patient()).status == Status::none);
  CHECK(append(ensemble[1], "b") == 2);
  CHECK(elect(ensemble[0]) == 2);
  CHECK(append(ensemble[0], "c") == 3);
  CHECK(ensemble[1].append("lost", patient()).status == Status::none);
  CHECK(read(ensemble[1], 1, 3) == "1=a 2=b 3=c");
}

TEST_CASE("electing the elected writer again is harmless") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(elect(ensemble[0]) == 1);
  CHECK(append(ensemble[0], "b") == 2);
}

TEST_CASE("two logs have nothing to do with each other") {
  Ensemble one(1);
  Ensemble other(1);
  elect(one[0]);
  append(one[0], "a");
  CHECK(ending(other[0]) == 0);
  elect(other[0]);
  CHECK(append(one[0], "b") == 2);
}

TEST_CASE("truncate forgets what is before, and takes a position itself") {
  Ensemble ensemble(2);
  elect(ensemble[0]);
  for (const char* data : {"a", "b", "c"}) append(ensemble[0], data);
  const Outcome outcome = ensemble[0].truncate(3, patient());
  CHECK(outcome.ok());
  CHECK(outcome.position == 4);
  CHECK(beginning(ensemble[1]) == 3);
  CHECK(ending(ensemble[1]) == 4);
  CHECK(read(ensemble[1], 2, 4) == "truncated to 3");
  CHECK(read(ensemble[1], 3, 4) == "3=c");
  CHECK(append(ensemble[0], "d") == 5);
  CHECK(read(ensemble[0], 3, 5) == "3=c 5=d");
}

TEST_CASE("truncate past the end is refused and leaves the writer elected") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(ensemble[0].truncate(3, patient()).status == Status::failed);
  CHECK(beginning(ensemble[0]) == 0);
  CHECK(append(ensemble[0], "b") == 2);
}

TEST_CASE("truncate just behind the end leaves a log without entries that goes on") {
  Ensemble ensemble(2);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(ensemble[0].truncate(2, patient()).position == 2);
  CHECK(beginning(ensemble[1]) == 2);
  CHECK(ending(ensemble[1]) == 2);
  CHECK(read(ensemble[1], 2, 2) == "");
  CHECK(append(ensemble[0], "b") == 3);
  CHECK(read(ensemble[1], 2, 3) == "3=b");
}

TEST_CASE("truncating again to an earlier position changes nothing") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  for (const char* data : {"a", "b", "c"}) append(ensemble[0], data);
  CHECK(ensemble[0].truncate(3, patient()).ok());
  CHECK(ensemble[0].truncate(1, patient()).ok());
  CHECK(beginning(ensemble[0]) == 3);
  CHECK(read(ensemble[0], 3, 5) == "3=c");
}

TEST_CASE("reads outside the log say why") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  CHECK(read(ensemble[0], 1, 0) == "failed: bad read range (to < from)");
  CHECK(read(ensemble[0], 0, 2) == "failed: bad read range (past end of log)");
}

TEST_CASE("read appends to what the caller has already") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  std::list<Entry> entries{{7, "mine"}};
  REQUIRE(ensemble[0].read(0, 1, &entries, patient()).ok());
  CHECK(entries.size() == 2);
  CHECK(entries.front().data == "mine");
}

// --- closing and threads -------------------------------------------------------------------------

TEST_CASE("after close every call answers closed, and other replicas go on") {
  Ensemble ensemble(2);
  elect(ensemble[0]);
  append(ensemble[0], "a");
  ensemble[0].close();
  ensemble[0].close();
  std::list<Entry> entries;
  CHECK(ensemble[0].elect(patient()).status == Status::closed);
  CHECK(ensemble[0].append("b", patient()).status == Status::closed);
  CHECK(ensemble[0].truncate(1, patient()).status == Status::closed);
  CHECK(ensemble[0].beginning(patient()).status == Status::closed);
  CHECK(ensemble[0].ending(patient()).status == Status::closed);
  CHECK(ensemble[0].read(0, 1, &entries, patient()).status == Status::closed);
  CHECK(ensemble[0].catchup(patient()).status == Status::closed);
  CHECK(elect(ensemble[1]) == 1);
  CHECK(append(ensemble[1], "b") == 2);
}

TEST_CASE("close ends calls that wait, whatever they wait for") {
  for (const char* fault : {"no-quorum", "append-fails-but-is-in-log", "append-fails-and-is-not",
                            "slow"}) {
    Ensemble ensemble(1);
    elect(ensemble[0]);
    ensemble[0].arm(fault, 0, -1, 60000);
    std::vector<Outcome> outcomes(3);
    std::vector<std::thread> threads;
    for (Outcome& outcome : outcomes) {
      threads.emplace_back([&] { outcome = ensemble[0].append("a", patient()); });
    }
    ensemble[0].close();
    for (std::thread& thread : threads) thread.join();
    for (const Outcome& outcome : outcomes) CHECK(outcome.status == Status::closed);
  }
}

TEST_CASE("a writer call gives up at its deadline while another one is inside") {
  Ensemble ensemble(1);
  elect(ensemble[0]);
  ensemble[0].arm("slow", 0, 1, 60000);
  std::thread slow([&] { ensemble[0].append("a", patient()); });
  // Until the slow one is inside, elections succeed; then one waits in vain.
  Outcome outcome;
  do {
    outcome = ensemble[0].elect(Clock::now() + milliseconds(2));
  } while (outcome.ok());
  CHECK(outcome.status == Status::no_answer);
  CHECK(ensemble[0].ending(patient()).ok());  // readers do not wait for the writer
  ensemble[0].close();
  slow.join();
}

TEST_CASE("many threads append, read and elect, and every acknowledged entry is there once") {
  constexpr std::size_t kReplicas = 3;
  constexpr int kAppends = 2000;
  Ensemble ensemble(kReplicas);
  std::vector<std::set<Position>> acknowledged(2 * kReplicas);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2 * kReplicas; ++i) {
    threads.emplace_back([&, i] {
      MemoryLog& log = ensemble[i % kReplicas];
      for (int n = 0; n < kAppends; ++n) {
        const Outcome outcome = log.append(std::to_string(i), patient());
        if (outcome.ok()) acknowledged[i].insert(outcome.position);
        else log.elect(patient());
        if (n % 50 == 0) read(log, 0, ending(log));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::list<Entry> entries;
  REQUIRE(ensemble[0].read(0, ending(ensemble[0]), &entries, patient()).ok());
  std::size_t total = 0;
  for (const std::set<Position>& positions : acknowledged) total += positions.size();
  CHECK(total == entries.size());
  CHECK(total > 0);
  for (const Entry& entry : entries) {
    REQUIRE(acknowledged[std::stoul(entry.data)].count(entry.position) == 1);
  }
}

// --- the C interface -----------------------------------------------------------------------------

TEST_CASE("the C interface opens replicas, arms faults by name and refuses unknown ones") {
  aur_memory_ensemble* const ensemble = aur_memory_ensemble_new();
  REQUIRE(ensemble != nullptr);
  const std::unique_ptr<aur_log> log(aur_log_open_memory(ensemble));
  aur_memory_ensemble_free(ensemble);  // the log keeps it alive
  REQUIRE(log != nullptr);
  REQUIRE(log->log->elect(patient()).ok());

  aur_outcome outcome;
  aur_log_memory_fault(log.get(), "lost-promise", 0, 1, 0, &outcome);
  CHECK(outcome.status == AUR_OK);
  CHECK(log->log->append("a", patient()).status == Status::none);

  aur_log_memory_fault(log.get(), "no-such-fault", 0, 1, 0, &outcome);
  CHECK(outcome.status == AUR_FAILED);
  CHECK(std::string(outcome.reason) == "unknown fault no-such-fault");

  aur_log_memory_fault(log.get(), "no-quorum", 0, -1, 0, &outcome);
  aur_log_memory_clear_faults(log.get());
  CHECK(log->log->elect(patient()).ok());

  aur_log other{nullptr};
  aur_log_memory_fault(&other, "slow", 0, 1, 0, &outcome);
  CHECK(outcome.status == AUR_FAILED);
  CHECK(std::string(outcome.reason) == "not a memory log");
  aur_log_memory_clear_faults(&other);
}
