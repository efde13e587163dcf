// What two or three replicas of one log do together, whatever the log does to them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "replication/replica.h"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "records/wire.h"
#include "replica_harness.h"

using namespace aurora;
using namespace aurora::testing;

TEST_CASE("a replica on an empty log becomes a standby that can be read and not written") {
  Cluster cluster;
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  CHECK(cluster.a.replica.wait_caught_up(patient()).ok());
  Database::View view;
  CHECK(cluster.a.database().open_view(PageStore::At::durable, &view).ok());
  cluster.a.database().close_view(&view);
  CHECK(!cluster.a.publish({{1, 1}}).verdict.ok());
  CHECK(cluster.a.info().epoch == 0);
}

TEST_CASE("a leader's commits reach the standby") {
  Cluster cluster;
  const Outcome led = cluster.a.lead();
  REQUIRE(led.ok());
  CHECK(cluster.a.info().state == ReplicaState::leading);
  CHECK(cluster.a.info().epoch == 1);
  CHECK(cluster.a.info().leader_position == led.position);
  CHECK(cluster.a.lead().position == led.position);
  for (Stamp i = 1; i <= 20; ++i) {
    const PageNumber page = static_cast<PageNumber>(1 + i % 4);
    const Verdict verdict = cluster.a.commit({{page, i}});
    REQUIRE(verdict.ok());
    REQUIRE(cluster.b.replica.wait_position(verdict.position, patient()).ok());
    CHECK(cluster.b.stats().durable == i);
    check_same(cluster.a, cluster.b);
  }
  CHECK(cluster.a.info().transactions == 20);
  const Latency::Counts took = cluster.a.replica.append_latency().counts();
  CHECK(std::accumulate(took.buckets.begin(), took.buckets.end(), std::uint64_t{0}) ==
        cluster.a.info().appends - 1);  // all but the LEADER entry
  CHECK(cluster.b.info().epoch == 1);
  CHECK(cluster.b.info().leader.host == "host");
  CHECK(cluster.b.info().leader_position == led.position);
}

TEST_CASE("a replica that opens late reads the whole log") {
  Cluster cluster;
  cluster.a_leads();
  Node late(cluster.log, options());
  REQUIRE(late.replica.wait_caught_up(patient()).ok());
  check_goes_on(cluster.a, {&cluster.b, &late});
}

TEST_CASE("what gathers during an append goes as one entry") {
  Cluster cluster;
  cluster.a_leads();
  const std::uint64_t appends = cluster.a.info().appends;
  cluster.a.log->hold();
  const Published first = cluster.a.publish({{1, 10}});
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  const Published second = cluster.a.publish({{1, 11}});
  const Published third = cluster.a.publish({{2, 12}});
  cluster.a.log->release();
  CHECK(cluster.a.outcome(first).ok());
  const Verdict a = cluster.a.outcome(second);
  const Verdict b = cluster.a.outcome(third);
  REQUIRE(b.ok());
  CHECK(a.position == b.position);
  CHECK(cluster.a.info().appends == appends + 2);
  REQUIRE(cluster.b.replica.wait_position(b.position, patient()).ok());
  check_same(cluster.a, cluster.b);
}

TEST_CASE("a lone commit is sent by the very thread that waits for it") {
  Cluster cluster;
  cluster.a_leads();
  const std::uint64_t appends = cluster.a.info().appends;
  for (Stamp i = 1; i <= 5; ++i) {
    // The replication thread looks for leftovers now and then, and may be the faster one.
    REQUIRE(eventually([&] {
      return cluster.a.commit({{1, i}}).ok() &&
             cluster.a.log->sender() == std::this_thread::get_id();
    }));
  }
  CHECK(cluster.a.info().appends >= appends + 5);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("on the leader a position that was waited for can be read, and a commit is within its position") {
  Cluster cluster;
  cluster.a_leads();
  const Position first = cluster.a.info().position;
  Started reader([&] {
    for (Position i = 1; i <= 300; ++i) {
      if (!cluster.a.replica.wait_position(first + i, patient()).ok()) return false;
      if (cluster.a.stats().durable < 1 + i) return false;
    }
    return true;
  });
  for (Stamp i = 1; i <= 300; ++i) {
    const Verdict verdict = cluster.a.commit({{1, i}});
    REQUIRE(verdict.ok());
    CHECK(cluster.a.info().position == verdict.position);
  }
  CHECK(reader.result());
}

TEST_CASE("a commit that nobody waits for is sent all the same") {
  Cluster cluster;
  cluster.a_leads();
  const Published left = cluster.a.publish({{1, 10}});
  REQUIRE(left.verdict.ok());
  CHECK(eventually([&] { return cluster.a.stats().durable == left.version; }));
  CHECK(cluster.a.log->sender() != std::this_thread::get_id());
}

TEST_CASE("who cannot wait as long as an append may take leaves it to the replication thread") {
  Cluster cluster;
  cluster.a_leads();
  cluster.a.log->hold();
  const Published published = cluster.a.publish({{1, 10}});
  CHECK(cluster.a.database().wait_durable(published.reign, published.version, in(milliseconds(20)))
            .refusal == Refusal::timed_out);
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  CHECK(cluster.a.log->sender() != std::this_thread::get_id());
  cluster.a.log->release();
  CHECK(cluster.a.outcome(published).ok());
}

TEST_CASE("an append that fails in the thread of a commit ends the reign for everybody") {
  Cluster cluster;
  cluster.a_leads();
  cluster.a.log->hold();
  const Published first = cluster.a.publish({{1, 10}});
  Started waiting([&] { return cluster.a.outcome(first); });
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  const Published behind = cluster.a.publish({{1, 11}});
  Started late([&] { return cluster.a.outcome(behind); });
  REQUIRE(cluster.b.lead().ok());
  cluster.a.log->release();
  CHECK(waiting.result().refusal == Refusal::leadership_lost);  // as b's LEADER entry tells
  CHECK(cluster.a.info().state == ReplicaState::standby);       // by the time the commit is told
  CHECK(late.result().refusal == Refusal::leadership_lost);
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("a commit whose append was refused is told by the next leader's entries what became of it") {
  for (const bool in_log : {false, true}) {
    for (const bool same_leads : {false, true}) {
      CAPTURE(in_log);
      CAPTURE(same_leads);
      Cluster cluster;
      cluster.a_leads();
      const Version before = cluster.a.stats().durable;
      cluster.a.arm(in_log ? "lost-promise-but-in-log" : "lost-promise");
      const Published published = cluster.a.publish({{1, 10}});
      Started waiting([&] { return cluster.a.outcome(published); });
      REQUIRE(cluster.a.becomes(ReplicaState::standby));
      Node& leader = same_leads ? cluster.a : cluster.b;
      REQUIRE(leader.lead().ok());
      const Verdict verdict = waiting.result();
      CHECK(verdict.refusal == (in_log ? Refusal::none : Refusal::leadership_lost));
      CHECK(leader.stats().durable == before + (in_log ? 1 : 0));
      CHECK(cluster.a.outcome(published).refusal == verdict.refusal);  // also when asked later
      if (in_log) CHECK(cluster.a.outcome(published).position == verdict.position);
    }
  }
}

TEST_CASE("a commit that nobody settles is told so when an append's time limit is over again") {
  Cluster cluster(hasty());
  cluster.a_leads();
  cluster.a.arm("lost-promise");
  const Verdict verdict = cluster.a.commit({{1, 10}});
  CHECK(verdict.refusal == Refusal::outcome_unknown);
}

TEST_CASE("writers on many threads, and the leadership goes to and fro") {
  Cluster cluster;
  cluster.a_leads();
  std::atomic<bool> over{false};
  std::atomic<Version> acknowledged{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      for (Stamp stamp = 1; !over; ++stamp) {
        Node& node = stamp % 2 == 0 ? cluster.a : cluster.b;
        const Published published = node.publish({{static_cast<PageNumber>(1 + i), stamp}});
        if (node.outcome(published).ok()) acknowledged = published.version;
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    const Version before = acknowledged;
    REQUIRE((round % 2 == 0 ? cluster.b : cluster.a).lead().ok());
    REQUIRE(eventually([&] { return acknowledged != before; }));
  }
  over = true;
  for (std::thread& writer : writers) writer.join();
  Node& leader = cluster.a.info().state == ReplicaState::leading ? cluster.a : cluster.b;
  Node& other = &leader == &cluster.a ? cluster.b : cluster.a;
  REQUIRE(leader.lead().ok());
  check_goes_on(leader, {&other});
}

TEST_CASE("when the second replica leads, the first takes back what nobody agreed to") {
  Cluster cluster;
  cluster.a_leads();
  const Version before = cluster.a.stats().durable;
  cluster.a.log->hold();
  const Published sent = cluster.a.publish({{1, 10}});
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  const Published behind = cluster.a.publish({{1, 11}});
  REQUIRE(behind.verdict.ok());
  REQUIRE(cluster.b.lead().ok());
  CHECK(cluster.a.stats().latest == before + 2);

  cluster.a.log->release();
  CHECK(cluster.a.outcome(sent).refusal == Refusal::leadership_lost);
  CHECK(cluster.a.outcome(behind).refusal == Refusal::leadership_lost);
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  CHECK(cluster.a.stats().latest == before);
  CHECK(cluster.a.info().versions_taken_back == 2);
  CHECK(cluster.a.info().rewinds == 1);
  CHECK(!cluster.a.commit({{1, 12}}).ok());
  check_goes_on(cluster.b, {&cluster.a});
  CHECK(cluster.a.info().epoch == 2);

  REQUIRE(cluster.a.lead().ok());
  CHECK(!cluster.b.commit({{1, 13}}).ok());  // only now it finds out
  check_goes_on(cluster.a, {&cluster.b});
  CHECK(cluster.b.info().epoch == 3);
}

TEST_CASE("after a failed append the next leader settles it, for all alike") {
  struct Case {
    std::string fault;
    bool kept;
  };
  for (const Case& that : {Case{"lost-promise", false}, Case{"lost-promise-but-in-log", true},
                           Case{"append-fails-but-is-in-log", true},
                           Case{"append-fails-and-is-not", false}, Case{"no-quorum", false}}) {
    for (const bool same_leads : {false, true}) {
      CAPTURE(that.fault);
      CAPTURE(same_leads);
      Cluster cluster(hasty());
      cluster.a_leads();
      const Version before = cluster.a.stats().durable;
      cluster.a.arm(that.fault);
      CHECK(cluster.a.commit({{1, 77}}).refusal == Refusal::outcome_unknown);
      REQUIRE(cluster.a.becomes(ReplicaState::standby));
      CHECK(cluster.a.info().versions_taken_back == 1);

      Node& leader = same_leads ? cluster.a : cluster.b;
      Node& other = same_leads ? cluster.b : cluster.a;
      const Outcome led = leader.lead();
      INFO(led.reason);
      REQUIRE(led.ok());
      CHECK(leader.stats().durable == before + (that.kept ? 1 : 0));
      CHECK(durable_image(*leader.database().store())[1] == (that.kept ? 77 : 1));
      check_goes_on(leader, {&other});
      CHECK(leader.info().reloads + other.info().reloads == 0);
    }
  }
}

TEST_CASE("a leader whose first entry got no answer leads at the next attempt") {
  for (const std::string fault : {"lost-promise-but-in-log", "append-fails-but-is-in-log",
                            "append-fails-and-is-not", "lost-promise"}) {
    CAPTURE(fault);
    Cluster cluster(hasty());
    cluster.a_leads();
    cluster.b.arm(fault);
    CHECK(!cluster.b.lead().ok());
    CHECK(cluster.b.info().state == ReplicaState::standby);
    REQUIRE(cluster.b.lead().ok());
    CHECK(!cluster.a.commit({{1, 9}}).ok());
    check_goes_on(cluster.b, {&cluster.a});
  }
}

TEST_CASE("without a quorum nobody leads, until there is one") {
  Cluster cluster(hasty());
  cluster.a_leads();
  cluster.a.arm("no-quorum", 0, -1);
  CHECK(cluster.a.commit({{1, 5}}).refusal == Refusal::outcome_unknown);
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  CHECK(cluster.a.lead(in(milliseconds(30))).status == Status::no_answer);
  CHECK(cluster.a.info().state == ReplicaState::standby);
  cluster.a.log->inner.clear_faults();
  REQUIRE(cluster.a.lead().ok());
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("a leader that is asked to lead proves by an entry that it does, and its reign goes on") {
  Cluster cluster;
  const Outcome led = cluster.a.lead();
  REQUIRE(led.ok());
  const Replica::Info before = cluster.a.info();
  CHECK(cluster.a.lead().position == led.position);
  const Replica::Info after = cluster.a.info();
  CHECK(after.appends == before.appends + 1);
  CHECK(after.position > before.position);
  CHECK(after.epoch == 1);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("a leader that has not heard of its successor is elected anew when it is asked to lead") {
  Cluster cluster;
  cluster.a_leads();
  const Outcome successor = cluster.b.lead();
  REQUIRE(successor.ok());
  REQUIRE(cluster.a.info().state == ReplicaState::leading);  // as it thinks
  const Outcome led = cluster.a.lead();
  INFO(led.reason);
  REQUIRE(led.ok());
  CHECK(led.position > successor.position);
  CHECK(cluster.a.info().epoch == 3);
  CHECK(!cluster.b.commit({{1, 5}}).ok());
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("a leader whose proof takes too long for the one that asked goes on leading") {
  Cluster cluster;
  cluster.a_leads();
  const Replica::Info before = cluster.a.info();
  cluster.a.log->hold();
  CHECK(cluster.a.lead(in(milliseconds(5))).status == Status::no_answer);
  CHECK(cluster.a.info().state == ReplicaState::leading);
  cluster.a.log->release();
  CHECK(cluster.a.lead().position == before.leader_position);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("closing ends a leader's proof") {
  Cluster cluster;
  cluster.a_leads();
  cluster.a.log->hold();
  Started leading([&] { return cluster.a.lead(in(std::chrono::hours(1))); });
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  Started closing([&] { return cluster.a.replica.close(), true; });
  CHECK(leading.result().status == Status::closed);
  CHECK(closing.result());
}

TEST_CASE("a competing writer's foreign entry stops every replica") {
  Cluster cluster;
  cluster.a_leads();
  cluster.a.arm("competing-writer");
  const Position foreign = cluster.a.info().next;
  CHECK(cluster.a.commit({{1, 5}}).refusal == Refusal::outcome_unknown);
  // The election takes no position of its own.
  check_failed(cluster.a, "foreign entry", foreign);
  check_failed(cluster.b, "foreign entry", foreign);
  CHECK(cluster.b.info().reloads == 1);
  Database::View view;
  CHECK(cluster.b.database().open_view(PageStore::At::durable, &view).refusal ==
        Refusal::not_readable);
}

TEST_CASE("a damaged entry stops the standby after it has read the log again") {
  Cluster cluster;
  cluster.a_leads();
  cluster.a.arm("corrupt-entry", 0, 1, 75);
  const Verdict verdict = cluster.a.commit({{1, 5}});
  REQUIRE(verdict.ok());
  check_failed(cluster.b, "damaged log", verdict.position);
  CHECK(cluster.b.info().reloads == 1);
  CHECK(cluster.a.commit({{1, 6}}).ok());
  CHECK(cluster.a.info().state == ReplicaState::leading);
  CHECK(cluster.b.info().state == ReplicaState::failed);
}

TEST_CASE("a copy that fails its check by itself is read again") {
  Cluster cluster;
  cluster.a_leads();
  cluster.b.log->damage_one_read_of(cluster.a.info().next);
  check_goes_on(cluster.a, {&cluster.b});
  CHECK(cluster.b.info().reloads == 1);
  REQUIRE(cluster.b.becomes(ReplicaState::standby));
  REQUIRE(cluster.b.lead().ok());
  CHECK(!cluster.a.commit({{1, 9}}).ok());
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("a standby that misses entries catches up") {
  for (const std::string fault : {"hole", "unlearned"}) {
    CAPTURE(fault);
    Cluster cluster;
    cluster.a_leads();
    cluster.b.arm(fault, 0, 3);
    for (Stamp i = 1; i <= 4; ++i) REQUIRE(cluster.a.commit({{1, i}}).ok());
    check_goes_on(cluster.a, {&cluster.b});
    CHECK(cluster.b.info().catchups >= 1);
    CHECK(cluster.b.info().reloads == 0);
  }
}

TEST_CASE("a standby that misses entries leads with all of them") {
  Cluster cluster;
  cluster.a_leads();
  cluster.b.arm("hole", 0, -1);
  for (Stamp i = 1; i <= 3; ++i) REQUIRE(cluster.a.commit({{1, 50 + i}}).ok());
  const Version version = cluster.a.stats().durable;
  REQUIRE(cluster.b.lead().ok());
  CHECK(cluster.b.stats().durable == version);
  CHECK(!cluster.a.commit({{1, 9}}).ok());
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("a batch in parts is applied as a whole") {
  Cluster cluster(in_parts());
  cluster.a_leads();
  const Version before = cluster.b.stats().durable;
  const std::uint64_t applied = cluster.b.info().entries_applied;
  cluster.a.log->hold(3);
  const Published published = cluster.a.publish(random_pages(12, 1), 12);
  REQUIRE(eventually([&] { return cluster.b.info().entries_applied == applied + 3; }));
  CHECK(cluster.b.stats().durable == before);
  CHECK(cluster.b.stats().page_count == 4);
  cluster.a.log->release();
  const Verdict verdict = cluster.a.outcome(published);
  REQUIRE(verdict.ok());
  REQUIRE(cluster.b.replica.wait_position(verdict.position, patient()).ok());
  CHECK(cluster.b.info().entries_applied >= applied + 10);
  CHECK(cluster.b.stats().durable == before + 1);
  check_same(cluster.a, cluster.b);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("a commit that the leader's full disk refuses is certainly not in the log") {
  Cluster cluster;
  cluster.a_leads();
  const Version before = cluster.a.stats().durable;
  cluster.a.arm("disk-full");
  const Verdict refused = cluster.a.commit({{1, 10}});
  CHECK(refused.refusal == Refusal::leadership_lost);
  CHECK(refused.reason.find("disk") != std::string::npos);
  REQUIRE(cluster.b.lead().ok());
  CHECK(cluster.b.stats().durable == before);
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("parts without an end are ignored when a new leader comes") {
  Replica::Options each = in_parts();
  each.append_timeout = milliseconds(30);
  for (const std::string fault : {"lost-promise", "lost-promise-but-in-log", "append-fails-but-is-in-log",
                            "append-fails-and-is-not", "no-quorum"}) {
    for (const bool same_leads : {false, true}) {
      CAPTURE(fault);
      CAPTURE(same_leads);
      Cluster cluster(each);
      cluster.a_leads();
      const Version before = cluster.a.stats().durable;
      cluster.a.arm(fault, 3);
      CHECK(cluster.a.outcome(cluster.a.publish(random_pages(12, 2), 12)).refusal ==
            Refusal::leadership_lost);  // whatever became of that part: its end was never sent
      REQUIRE(cluster.a.becomes(ReplicaState::standby));
      Node& leader = same_leads ? cluster.a : cluster.b;
      Node& other = same_leads ? cluster.b : cluster.a;
      REQUIRE(leader.lead().ok());
      CHECK(leader.stats().durable == before);
      CHECK(leader.stats().page_count == 4);
      const Verdict again = leader.outcome(leader.publish(random_pages(12, 3), 12));
      REQUIRE(again.ok());
      Node late(cluster.log, each);
      check_goes_on(leader, {&other, &late});
      CHECK(leader.info().reloads + other.info().reloads + late.info().reloads == 0);
    }
  }
}

TEST_CASE("parts whose end is kept by the next election are applied by all") {
  Replica::Options each = in_parts();
  for (const bool same_leads : {false, true}) {
    CAPTURE(same_leads);
    Cluster cluster(each);
    cluster.a_leads();
    std::uint64_t entries = cluster.a.info().appends;
    REQUIRE(cluster.a.outcome(cluster.a.publish(random_pages(12, 4), 12)).ok());
    entries = cluster.a.info().appends - entries;
    const Version before = cluster.a.stats().durable;
    cluster.a.arm("lost-promise-but-in-log", static_cast<int>(entries) - 1);
    const Published published = cluster.a.publish(random_pages(12, 5), 12);
    Started waiting([&] { return cluster.a.outcome(published); });
    REQUIRE(cluster.a.becomes(ReplicaState::standby));
    Node& leader = same_leads ? cluster.a : cluster.b;
    Node& other = same_leads ? cluster.b : cluster.a;
    REQUIRE(leader.lead().ok());
    CHECK(waiting.result().ok());
    CHECK(leader.stats().durable == before + 1);
    check_goes_on(leader, {&other});
  }
}

TEST_CASE("an idle leader sends heartbeats") {
  Replica::Options each = options();
  each.heartbeat = milliseconds(3);
  Cluster cluster(each);
  cluster.a_leads();
  const Version version = cluster.a.stats().durable;
  const std::uint64_t applied = cluster.b.info().entries_applied;
  REQUIRE(eventually([&] { return cluster.a.info().heartbeats >= 3; }));
  REQUIRE(eventually([&] { return cluster.b.info().entries_applied >= applied + 3; }));
  CHECK(cluster.b.stats().durable == version);
  CHECK(cluster.b.info().last_entry.has_value());
  check_goes_on(cluster.a, {&cluster.b});
  REQUIRE(cluster.b.lead().ok());
  CHECK(cluster.a.becomes(ReplicaState::standby));  // its next heartbeat is refused
}

TEST_CASE("stepping down makes everything published durable first") {
  Cluster cluster;
  cluster.a_leads();
  const Version before = cluster.a.stats().durable;
  cluster.a.log->hold();
  const Published first = cluster.a.publish({{1, 21}});
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  const Published second = cluster.a.publish({{2, 22}});
  Started stepping([&] { return cluster.a.replica.step_down(patient()); });
  const int writer = 0;
  REQUIRE(eventually([&] {  // until it lets nobody write any more
    const bool granted = cluster.a.database().writers().try_acquire(&writer);
    cluster.a.database().writers().release(&writer);
    return !granted;
  }));
  std::this_thread::sleep_for(milliseconds(20));  // and has told the thread, most likely
  cluster.a.log->release();
  const Outcome stepped = stepping.result();
  INFO(stepped.reason);
  CHECK(stepped.ok());
  CHECK(cluster.a.info().state == ReplicaState::standby);
  CHECK(cluster.a.outcome(first).ok());
  CHECK(cluster.a.outcome(second).ok());
  CHECK(cluster.a.stats().durable == before + 2);
  CHECK(cluster.a.info().versions_taken_back == 0);
  CHECK(!cluster.a.commit({{1, 23}}).ok());
  REQUIRE(cluster.b.lead().ok());
  CHECK(cluster.b.stats().durable == before + 2);
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("an idle leader steps down, a standby has nothing to do for it, and both may lead again") {
  Cluster cluster;
  cluster.a_leads();
  CHECK(cluster.b.replica.step_down(patient()).ok());
  CHECK(cluster.a.replica.step_down(patient()).ok());
  CHECK(cluster.a.info().state == ReplicaState::standby);
  REQUIRE(cluster.a.lead().ok());
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("closing ends an attempt to lead without a quorum") {
  Cluster cluster;
  cluster.a.arm("no-quorum", 0, -1);
  Started leading([&] { return cluster.a.lead(in(std::chrono::hours(1))); });
  REQUIRE(cluster.a.becomes(ReplicaState::electing));
  Started closing([&] { return cluster.a.replica.close(), true; });
  CHECK(leading.result().status == Status::closed);
  CHECK(closing.result());
  CHECK(cluster.a.info().state == ReplicaState::closed);
  CHECK(cluster.a.lead().status == Status::closed);
}

TEST_CASE("closing ends every wait") {
  Cluster cluster;
  cluster.a_leads();
  Started position([&] { return cluster.b.replica.wait_position(1'000'000, patient()); });
  Started state(
      [&] { return cluster.b.replica.wait_state(ReplicaState::standby, patient()); });
  std::this_thread::sleep_for(milliseconds(10));
  Started closing([&] { return cluster.b.replica.close(), true; });
  CHECK(position.result().status == Status::closed);
  CHECK(state.result() == ReplicaState::closed);
  CHECK(closing.result());
  CHECK(cluster.b.replica.wait_caught_up(patient()).status == Status::closed);
  cluster.b.replica.close();
}

TEST_CASE("closing during an append leaves the commit's outcome open, unless its end is not sent") {
  for (const bool parts : {false, true}) {
    CAPTURE(parts);
    Cluster cluster(parts ? in_parts() : options());
    cluster.a_leads();
    cluster.a.log->hold(parts ? 3 : 0);
    const Published sent =
        parts ? cluster.a.publish(random_pages(12, 6), 12) : cluster.a.publish({{1, 31}});
    REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
    const Published behind = cluster.a.publish({{1, 32}});
    Started waiting([&] { return cluster.a.outcome(sent); });
    Started stepping([&] { return cluster.a.replica.step_down(patient()).ok(); });
    Started closing([&] { return cluster.a.replica.close(), true; });
    CHECK(closing.result());
    const Verdict verdict = waiting.result();
    INFO(verdict.reason);
    CHECK(verdict.refusal == (parts ? Refusal::leadership_lost : Refusal::outcome_unknown));
    CHECK(cluster.a.outcome(behind).refusal == Refusal::leadership_lost);
    stepping.result();
    REQUIRE(cluster.b.lead().ok());
    check_goes_on(cluster.b, {});
  }
}

TEST_CASE("a replica whose log was closed by others has failed, whatever it did, and can be closed") {
  for (const std::string was : {"following", "leading", "opening"}) {
    CAPTURE(was);
    Cluster cluster;
    cluster.a_leads();
    if (was == "leading") REQUIRE(cluster.b.lead().ok());
    if (was == "opening") {
      const auto log = std::make_shared<GatedLog>(cluster.log);
      log->close();
      Replica late(log, options());
      REQUIRE(eventually([&] { return late.info().state == ReplicaState::failed; }));
      continue;
    }
    cluster.b.log->close();
    if (was == "leading") CHECK(!cluster.b.commit({{1, 7}}).ok());
    REQUIRE(cluster.b.becomes(ReplicaState::failed));
    CHECK(cluster.b.info().reason.find("closed") != std::string::npos);
    CHECK(cluster.b.replica.wait_position(1'000'000, patient()).status == Status::closed);
    CHECK(cluster.b.lead().status == Status::closed);
    cluster.b.replica.close();
    CHECK(cluster.b.info().state == ReplicaState::closed);
  }
}

TEST_CASE("a wait is over at its deadline") {
  Cluster cluster;
  cluster.a_leads();
  CHECK(cluster.b.replica.wait_position(1'000'000, in(milliseconds(5))).status ==
        Status::no_answer);
  CHECK(cluster.b.replica.wait_state(ReplicaState::standby, in(milliseconds(5))) ==
        ReplicaState::standby);
  cluster.a.log->hold();
  REQUIRE(cluster.a.publish({{1, 1}}).verdict.ok());
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  CHECK(cluster.a.replica.step_down(in(milliseconds(5))).status == Status::no_answer);
}

TEST_CASE("an attempt to lead is over at its deadline, whatever the time limit of an append") {
  Cluster cluster(options(std::chrono::hours(1)));
  cluster.b.arm("no-quorum", 1);  // not the election, but the first entry
  Started leading([&] { return cluster.b.lead(in(milliseconds(50))); });
  CHECK(leading.result().status == Status::no_answer);
  CHECK(cluster.b.info().state != ReplicaState::leading);
  cluster.b.log->inner.clear_faults();  // if the time was up before the append
  REQUIRE(cluster.b.lead().ok());
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("another application's entry stops a replica, also one that opens later") {
  Cluster cluster;
  cluster.a_leads();
  const Position position = intrude(cluster.log, "another application's entry");
  check_failed(cluster.b, "foreign entry", position);
  CHECK(!cluster.a.commit({{1, 2}}).ok());
  check_failed(cluster.a, "foreign entry", position);
  Node late(cluster.log, options());
  check_failed(late, "foreign entry", position);
}

TEST_CASE("an entry of a newer format stops a replica at once") {
  Cluster cluster;
  cluster.a_leads();
  std::string entry = encode_heartbeat(RecordHeader{});
  entry[4] = 99;
  const std::uint64_t sum = wire::checksum(entry.data(), entry.size() - sizeof sum);
  std::memcpy(&entry[entry.size() - sizeof sum], &sum, sizeof sum);
  const Position position = intrude(cluster.log, entry);
  check_failed(cluster.b, "newer release", position, Status::too_new);
  CHECK(cluster.b.info().reloads == 0);
  CHECK(cluster.b.info().reason.find("99") != std::string::npos);
}

TEST_CASE("an attempt to lead reads a foreign entry and fails") {
  const auto log = make_memory_ensemble();
  const Position position = intrude(log, "another application's entry");
  Node node(log, options());
  CHECK(!node.lead().ok());
  check_failed(node, "foreign entry", position);
}
