// Snapshots in the log: beside transactions, over changes of the leader, and what starts from them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "replica_harness.h"
#include "replication/snapshot_check.h"

using namespace aurora;
using namespace aurora::testing;

namespace {

// One page to a chunk, one chunk after the other.
Replica::Options in_chunks(milliseconds append_timeout = seconds(30)) {
  Replica::Options result = options(append_timeout);
  result.snapshots.chunk_bytes = 8192;
  result.snapshots.share = 1;
  return result;
}

struct Snapshots : Cluster {
  explicit Snapshots(Replica::Options each = in_chunks()) : Cluster(each) {}

  // `pages` pages of noise, which no compression packs into one chunk.
  void a_leads_with(PageNumber pages, std::uint64_t seed = 1) {
    REQUIRE(a.lead().ok());
    commit_noise(a, pages, seed);
  }
  Verdict commit_noise(Node& leader, PageNumber pages, std::uint64_t seed) {
    const Verdict verdict = leader.outcome(leader.publish(random_pages(pages, seed), pages));
    REQUIRE_MESSAGE(verdict.ok(), verdict.reason);
    return verdict;
  }
};

Position begin_snapshot(Node& leader) {
  const Outcome outcome = leader.replica.snapshot(patient());
  REQUIRE_MESSAGE(outcome.ok(), outcome.reason);
  return outcome.position;
}

bool completes(Node& node, Position snapshot) {
  return eventually([&] { return node.info().snapshots.complete.position == snapshot; });
}

Position take_snapshot(Node& leader) {
  const Position position = begin_snapshot(leader);
  REQUIRE(completes(leader, position));
  return position;
}

// Begins a snapshot and stops the log once `chunks` of it are there.
Position hold_after_chunks(Node& leader, int chunks) {
  leader.log->hold(1 + chunks);
  const Position position = begin_snapshot(leader);
  REQUIRE(eventually([&] { return leader.log->holds_one(); }));
  CHECK(leader.info().snapshots.chunks == static_cast<std::uint32_t>(chunks));
  return position;
}

// A replica that opens now is at what `leader` has.
void check_late(Snapshots& cluster, Node& leader, Position started_from) {
  Node late(cluster.log, in_chunks());
  const Outcome reached = late.replica.wait_caught_up(patient());
  REQUIRE_MESSAGE(reached.ok(), reached.reason);
  CHECK(late.info().started_from == started_from);
  check_goes_on(leader, {&late});
}

Position beginning(Node& node) { return node.log->beginning(patient()).position; }

}  // namespace

TEST_CASE("a replica that opens after a snapshot starts from it") {
  Snapshots cluster;
  cluster.a_leads_with(5);
  const Position position = take_snapshot(cluster.a);
  const SnapshotTracker::Info info = cluster.a.info().snapshots;
  CHECK(info.complete.version == 1);
  CHECK(info.complete.page_count == 5);
  CHECK(info.complete.end == position + 6);
  CHECK(info.under_way.position == 0);
  CHECK(!info.held);
  CHECK(cluster.a.info().snapshot_state == SnapshotState::none);
  CHECK(cluster.a.stats().pins == 0);
  REQUIRE(completes(cluster.b, position));
  CHECK(cluster.b.stats().pins == 0);
  CHECK(cluster.b.info().snapshots.complete.end == info.complete.end);
  check_late(cluster, cluster.a, position);
}

TEST_CASE("who starts from a snapshot knows the reign, and may lead the next") {
  Snapshots cluster;
  cluster.a_leads_with(3);
  const Position position = take_snapshot(cluster.a);
  Node late(cluster.log, in_chunks());
  REQUIRE(late.replica.wait_caught_up(patient()).ok());
  CHECK(late.info().epoch == 1);
  CHECK(late.info().leader_position == cluster.a.info().leader_position);
  CHECK(late.info().leader.host == "host");
  CHECK(late.info().reason.find("started from the snapshot at position " +
                                std::to_string(position)) != std::string::npos);
  REQUIRE(late.lead().ok());
  CHECK(late.info().epoch == 2);
  check_goes_on(late, {&cluster.b});
}

TEST_CASE("a replica that is told to lead at once starts from a snapshot, too") {
  Snapshots cluster;
  cluster.a_leads_with(3);
  const Position position = take_snapshot(cluster.a);
  Node late(cluster.log, in_chunks());
  REQUIRE(late.lead().ok());
  CHECK(late.info().started_from == position);
  check_goes_on(late, {&cluster.b});
}

TEST_CASE("an empty database has a snapshot, too") {
  Snapshots cluster;
  REQUIRE(cluster.a.lead().ok());
  const Position position = take_snapshot(cluster.a);
  CHECK(cluster.a.info().snapshots.complete.end == position + 1);
  check_late(cluster, cluster.a, position);
}

TEST_CASE("commits go on beside a snapshot, and wait for one chunk at most") {
  Snapshots cluster;
  cluster.a_leads_with(6);
  const Position position = hold_after_chunks(cluster.a, 2);
  CHECK(cluster.a.info().snapshot_state == SnapshotState::under_way);
  CHECK(begin_snapshot(cluster.a) == position);  // it is under way
  const Published first = cluster.a.publish({{2, 2}});
  const Published second = cluster.a.publish({{2, 22}, {5, 55}});
  cluster.a.log->release();
  const Verdict verdict = cluster.a.outcome(first);
  REQUIRE(verdict.ok());
  CHECK(verdict.position == position + 4);  // right behind the chunk that was under way
  REQUIRE(cluster.a.outcome(second).ok());
  REQUIRE(completes(cluster.a, position));
  REQUIRE(completes(cluster.b, position));
  CHECK(cluster.a.info().snapshots.complete.version == 1);
  check_same(cluster.a, cluster.b);
  check_late(cluster, cluster.a, position);
}

TEST_CASE("a snapshot is of its version, however the database shrinks and grows meanwhile") {
  Snapshots cluster;
  cluster.a_leads_with(8);
  const Position position = hold_after_chunks(cluster.a, 2);
  const Published shrunk = cluster.a.publish(random_pages(3, 7), 3);
  const Published grown = cluster.a.publish(random_pages(20, 8), 20);
  cluster.a.log->release();
  REQUIRE(cluster.a.outcome(shrunk).ok());
  REQUIRE(cluster.a.outcome(grown).ok());
  REQUIRE(completes(cluster.a, position));
  CHECK(cluster.a.info().snapshots.complete.page_count == 8);
  CHECK(cluster.a.info().snapshots.complete.end == position + 1 + 8 + 1);  // and one batch
  check_late(cluster, cluster.a, position);
}

TEST_CASE("a transaction in parts goes between two chunks as a whole") {
  Replica::Options each = in_chunks();
  each.entry_limit = 8192;
  Snapshots cluster(each);
  cluster.a_leads_with(4);
  const Position position = hold_after_chunks(cluster.a, 1);
  const Published large = cluster.a.publish(random_pages(30, 9), 30);
  cluster.a.log->release();
  REQUIRE(cluster.a.outcome(large).ok());
  REQUIRE(completes(cluster.a, position));
  REQUIRE(completes(cluster.b, position));
  check_same(cluster.a, cluster.b);
  check_late(cluster, cluster.a, position);
}

TEST_CASE("a replica that opens while a snapshot is under way reads the log as if there were none") {
  Snapshots cluster;
  cluster.a_leads_with(6);
  const Position position = hold_after_chunks(cluster.a, 2);
  Node late(cluster.log, in_chunks());
  REQUIRE(late.replica.wait_caught_up(patient()).ok());
  CHECK(late.info().started_from == 0);
  cluster.a.log->release();
  REQUIRE(completes(late, position));
  check_goes_on(cluster.a, {&cluster.b, &late});
}

TEST_CASE("the next leader goes on with the snapshot where the log has it") {
  Snapshots cluster;
  cluster.a_leads_with(8);
  const Position position = hold_after_chunks(cluster.a, 3);
  REQUIRE(eventually([&] { return cluster.b.info().snapshots.chunks == 3; }));
  CHECK(cluster.b.info().snapshots.held);
  REQUIRE(cluster.b.lead().ok());
  cluster.a.log->release();
  REQUIRE(completes(cluster.b, position));
  CHECK(cluster.b.info().snapshots.complete.end == position + 1 + 8 + 1);  // and a LEADER entry
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  REQUIRE(completes(cluster.a, position));
  check_late(cluster, cluster.b, position);
}

TEST_CASE("whatever entry of a snapshot fails, commits go on and the snapshot is completed") {
  for (const char* fault : {"lost-promise", "lost-promise-but-in-log", "append-fails-but-is-in-log",
                            "append-fails-and-is-not"}) {
    for (int countdown = 0; countdown <= 5; ++countdown) {  // begin, four chunks, end
      CAPTURE(fault);
      CAPTURE(countdown);
      Snapshots cluster(in_chunks(milliseconds(30)));
      cluster.a_leads_with(4);
      cluster.a.arm(fault, countdown);
      cluster.a.replica.snapshot(patient());
      REQUIRE(cluster.a.becomes(ReplicaState::standby));
      REQUIRE(cluster.b.lead().ok());
      check_goes_on(cluster.b, {&cluster.a});
      // Where the begin itself was not kept there is nothing to go on with.
      const Position position = begin_snapshot(cluster.b);
      REQUIRE(completes(cluster.b, position));
      REQUIRE(completes(cluster.a, position));
      check_late(cluster, cluster.b, position);
    }
  }
}

TEST_CASE("stepping down does not wait for a snapshot, which goes on in the next reign") {
  Snapshots cluster;
  cluster.a_leads_with(200);
  const Position position = begin_snapshot(cluster.a);
  REQUIRE(cluster.a.replica.step_down(patient()).ok());
  CHECK(cluster.a.info().snapshots.complete.position == 0);
  CHECK(cluster.a.info().snapshots.under_way.position == position);
  REQUIRE(cluster.a.lead().ok());
  REQUIRE(completes(cluster.a, position));
  check_late(cluster, cluster.a, position);
}

TEST_CASE("a chunk that is not what a replica has is of no use to it, and harms nothing") {
  Snapshots cluster;
  cluster.a_leads_with(5);
  const Position position = hold_after_chunks(cluster.a, 1);
  RecordHeader header = header_now(cluster.a.database(), 1, 0);
  header.part = 1;
  BatchEncoder encoder(1 << 20);
  encoder.begin(header);
  encoder.add(2, nullptr, stamped(2, 666)->bytes);
  intrude(cluster.log, encoder.finish_chunk(header));
  cluster.a.log->release();
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  for (Node* node : {&cluster.a, &cluster.b}) {
    REQUIRE(eventually([&] { return node->info().snapshots.given_up != ""; }));
    CHECK(node->info().snapshots.given_up.find("page 2 of the snapshot that begins at position " +
                                               std::to_string(position)) != std::string::npos);
    CHECK(node->info().snapshot_state == SnapshotState::none);
    CHECK(node->stats().pins == 0);
  }
  REQUIRE(cluster.b.lead().ok());
  const Position next = take_snapshot(cluster.b);
  CHECK(next > position);
  check_late(cluster, cluster.b, next);
}

TEST_CASE("a snapshot that cannot be loaded is passed over for the one before, or the whole log") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  const Position first = take_snapshot(cluster.a);
  cluster.commit_noise(cluster.a, 5, 2);
  const Position second = take_snapshot(cluster.a);

  for (const bool both : {false, true}) {
    auto log = std::make_shared<GatedLog>(cluster.log);
    log->damage_one_read_of(second + 2);
    if (both) log->damage_one_read_of(first + 2);
    Replica late(log, in_chunks());
    REQUIRE(late.wait_caught_up(patient()).ok());
    CHECK(late.info().started_from == (both ? 0 : first));
    CHECK(late.database()->store()->stats().checksum == cluster.a.stats().checksum);
  }
}

TEST_CASE("a leader truncates the log up to its newest complete snapshot, and no further") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  CHECK(cluster.b.replica.truncate(1).status == Status::none);
  const Outcome without = cluster.a.replica.truncate(2);
  CHECK(without.status == Status::failed);
  CHECK(without.reason.find("no complete snapshot") != std::string::npos);

  const Position position = take_snapshot(cluster.a);
  const Outcome beyond = cluster.a.replica.truncate(position + 1);
  CHECK(beyond.status == Status::failed);
  CHECK(beyond.reason.find("begins at position " + std::to_string(position)) != std::string::npos);
  CHECK(beginning(cluster.a) < position);
  CHECK(cluster.a.info().state == ReplicaState::leading);

  REQUIRE(cluster.b.replica.wait_caught_up(patient()).ok());
  const Outcome truncated = cluster.a.replica.truncate(position);
  REQUIRE(truncated.ok());
  CHECK(beginning(cluster.a) == position);
  CHECK(cluster.a.replica.wait_caught_up(patient()).ok());
  check_goes_on(cluster.a, {&cluster.b});
  CHECK(cluster.b.info().started_from == 0);
  check_late(cluster, cluster.a, position);
}

TEST_CASE("a truncation that no quorum answers ends the reign, and the next leader goes on") {
  Snapshots cluster(in_chunks(milliseconds(30)));
  cluster.a_leads_with(4);
  const Position position = take_snapshot(cluster.a);
  cluster.a.arm("no-quorum");
  CHECK(cluster.a.replica.truncate(position).status == Status::no_answer);
  REQUIRE(cluster.a.becomes(ReplicaState::standby));
  REQUIRE(cluster.b.lead().ok());
  REQUIRE(cluster.b.replica.truncate(position).ok());
  check_goes_on(cluster.b, {&cluster.a});
}

TEST_CASE("a standby that was away for longer than the log remembers starts from the snapshot") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  REQUIRE(cluster.b.replica.wait_caught_up(patient()).ok());
  cluster.b.log->hold_reads();
  for (std::uint64_t i = 0; i < 20; ++i) cluster.commit_noise(cluster.a, 5, 100 + i);
  const Position position = take_snapshot(cluster.a);
  REQUIRE(cluster.a.replica.truncate(position).ok());
  cluster.b.log->release_reads();
  REQUIRE(eventually([&] { return cluster.b.info().started_from == position; }));
  CHECK(cluster.b.info().reason.find("away for longer than the log remembers") !=
        std::string::npos);
  REQUIRE(cluster.b.replica.wait_caught_up(patient()).ok());
  REQUIRE(cluster.b.becomes(ReplicaState::standby));
  Database::View view;
  CHECK(cluster.b.database().open_view(PageStore::At::durable, &view).ok());
  cluster.b.database().close_view(&view);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("a standby that was away that long may be the next leader") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  REQUIRE(cluster.b.replica.wait_caught_up(patient()).ok());
  cluster.b.log->hold_reads();
  cluster.commit_noise(cluster.a, 6, 5);
  const Position position = take_snapshot(cluster.a);
  REQUIRE(cluster.a.replica.truncate(position).ok());
  Started lead([&] { return cluster.b.lead(); });
  cluster.b.log->release_reads();
  REQUIRE(lead.result().ok());
  CHECK(cluster.b.info().started_from == position);
  check_late(cluster, cluster.b, position);
}

TEST_CASE("a truncated log without a complete snapshot is refused, with what to do") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  const Position position = hold_after_chunks(cluster.a, 2);
  MemoryLog intruder(cluster.log);
  REQUIRE(intruder.elect(patient()).ok());
  REQUIRE(intruder.truncate(position, patient()).ok());
  Node late(cluster.log, in_chunks());
  REQUIRE(late.becomes(ReplicaState::failed));
  CHECK(late.info().failure == Status::truncated);
  CHECK(late.info().reason.find("begins at position " + std::to_string(position) +
                                " and holds no complete snapshot") != std::string::npos);
  CHECK(late.lead().status == Status::truncated);
}

TEST_CASE("a truncated log whose only snapshot is damaged says where") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  cluster.a.arm("corrupt-entry", 2, 1, 200);
  const Position position = take_snapshot(cluster.a);
  REQUIRE(cluster.a.replica.truncate(position).ok());
  for (const bool leads : {false, true}) {
    Node late(cluster.log, in_chunks());
    if (leads) CHECK(late.lead().status == Status::corrupt);
    check_failed(late, "no older snapshot is left", position + 2);
  }
}

TEST_CASE("a copy that fails its check is read again from the newest snapshot") {
  Snapshots cluster;
  cluster.a_leads_with(4);
  const Position position = take_snapshot(cluster.a);
  REQUIRE(completes(cluster.b, position));
  const Position next = cluster.a.info().next;
  cluster.b.log->damage_one_read_of(next);
  const Verdict verdict = cluster.a.commit({{1, 5}});
  REQUIRE(verdict.position == next);
  REQUIRE(eventually([&] { return cluster.b.info().reloads == 1; }));
  REQUIRE(cluster.b.replica.wait_position(next, patient()).ok());
  CHECK(cluster.b.info().started_from == position);
  check_goes_on(cluster.a, {&cluster.b});
}

TEST_CASE("only a leader takes snapshots, and one that is closed says so") {
  Snapshots cluster;
  CHECK(cluster.a.replica.snapshot(patient()).status == Status::none);
  REQUIRE(cluster.a.lead().ok());
  cluster.a.log->hold();
  Started call([&] { return cluster.a.replica.snapshot(patient()); });
  REQUIRE(eventually([&] { return cluster.a.log->holds_one(); }));
  cluster.a.replica.close();
  CHECK(call.result().status == Status::closed);
}

TEST_CASE("each replica counts the bytes since the newest snapshot, its chunks left out") {
  Snapshots cluster;
  cluster.a_leads_with(6);
  const std::uint64_t before = cluster.a.info().snapshots.bytes_since;
  CHECK(before > 6 * kPageSize);
  const Position position = take_snapshot(cluster.a);
  CHECK(cluster.a.info().snapshots.bytes_since < 1000);
  cluster.commit_noise(cluster.a, 6, 4);
  REQUIRE(completes(cluster.b, position));
  REQUIRE(cluster.b.replica.wait_caught_up(patient()).ok());
  CHECK(cluster.a.info().snapshots.bytes_since > 6 * kPageSize);
  CHECK(cluster.b.info().snapshots.bytes_since == cluster.a.info().snapshots.bytes_since);
}

TEST_CASE("a snapshot takes no more than its share of the log's time") {
  Replica::Options each = in_chunks();
  each.snapshots.share = 0.2;
  Snapshots cluster(each);
  cluster.a_leads_with(20);
  cluster.a.arm("slow", 0, -1, 5);  // each append takes that many milliseconds
  const auto start = Clock::now();
  const Position position = begin_snapshot(cluster.a);
  REQUIRE(completes(cluster.a, position));
  // 22 entries, each followed by four times its own time.
  CHECK(Clock::now() - start >= milliseconds(21 * 5 * 5));
}

TEST_CASE("a log without transactions gives a snapshot all of its time") {
  Replica::Options each = in_chunks();
  each.snapshots.share = 0.01;
  Snapshots cluster(each);
  cluster.a_leads_with(20);
  cluster.a.arm("slow", 0, -1, 5);
  std::this_thread::sleep_for(milliseconds(1100));
  const auto start = Clock::now();
  REQUIRE(completes(cluster.a, begin_snapshot(cluster.a)));
  // With its share it would take 22 times 500 ms.
  CHECK(Clock::now() - start < milliseconds(5000));
}

TEST_CASE("writers, changes of the leader and snapshots all at once leave equal replicas") {
  Snapshots cluster;
  cluster.a_leads_with(30);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (Stamp i = 1; !stop; ++i) {
      Node& leader = cluster.a.info().state == ReplicaState::leading ? cluster.a : cluster.b;
      leader.outcome(leader.publish({{static_cast<PageNumber>(1 + i % 30), i}}, 30));
    }
  });
  int completed = 0;
  for (int round = 0; round < 10; ++round) {
    Node& leader = round % 2 == 0 ? cluster.b : cluster.a;
    // One that has not heard yet that it leads no more finds out by this.
    Outcome begun;
    const bool begins = eventually([&] {
      if (!leader.lead().ok()) return false;
      begun = leader.replica.snapshot(patient());
      return begun.ok();
    });
    if (begins && round % 3 != 0) completed += completes(leader, begun.position) ? 1 : 0;
  }
  stop = true;
  writer.join();
  CHECK(completed == 6);
  for (Node* node : {&cluster.a, &cluster.b}) node->replica.step_down(patient());
  Node& leader = cluster.a;
  REQUIRE(leader.lead().ok());
  check_goes_on(leader, {&cluster.b});
  REQUIRE(eventually([&] { return leader.info().snapshot_state == SnapshotState::none; }));
  const Position newest = leader.info().snapshots.complete.position;
  REQUIRE(newest > 0);
  REQUIRE(leader.replica.truncate(newest).ok());
  check_late(cluster, leader, newest);
}

TEST_CASE("a snapshot is read back and checked, or it is said what is wrong with it") {
  Snapshots cluster;
  cluster.a_leads_with(5);
  const auto check = [&](Node& node, Position position) {
    SnapshotCheck result;
    return check_snapshot(node.replica.log(), position, patient(), &result, [] {});
  };
  const Position position = hold_after_chunks(cluster.a, 2);
  CHECK(check(cluster.a, position).status == Status::end);
  cluster.a.log->release();
  REQUIRE(completes(cluster.a, position));

  for (Node* node : {&cluster.a, &cluster.b}) {
    SnapshotCheck result;
    const Outcome outcome =
        check_snapshot(node->replica.log(), position, patient(), &result, [] {});
    REQUIRE_MESSAGE(outcome.ok(), outcome.reason);
    CHECK(result.snapshot().end == position + 6);
    CHECK(result.snapshot().version == 1);
    CHECK(result.pages() == 5);
    CHECK(result.chunks() == 5);
    CHECK(result.bytes() > 5 * kPageSize);
  }
  for (const Position none : {Position{0}, position - 1, position + 1, position + 1000}) {
    CHECK(check(cluster.a, none).status == Status::missing);
  }
  for (Position damaged = position; damaged <= position + 6; ++damaged) {
    cluster.b.log->damage_one_read_of(damaged);
    const Outcome outcome = check(cluster.b, position);
    CHECK(outcome.status == Status::corrupt);
    CHECK(outcome.position == damaged);
    CHECK(outcome.reason.find("position " + std::to_string(damaged)) != std::string::npos);
  }
  REQUIRE(cluster.a.replica.truncate(position).ok());
  CHECK(check(cluster.a, position - 1).status == Status::truncated);
  CHECK(check(cluster.a, position).ok());
}
