// What runs in a simulated process besides the replica: SQLite connections set up as the driver
// does, writers that move money, and readers that keep their connections.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#define SQLITE_CORE 1  // this program calls SQLite itself, not through an extension's table
#include <sqlite3.h>

#include "replication/replica.h"
#include "sim/ensemble.h"
#include "sim/oracle.h"
#include "sim/sim_log.h"
#include "sqlite/vfs.h"

namespace aurora::sim {

void register_vfs();

// One life of one replica: from its start to its crash or its end.
struct Process {
  int number = 0;  // the group of its fibers
  Ensemble::Machine machine = 0;
  std::string name;
  std::shared_ptr<SimLog> log;
  std::shared_ptr<SimLog> tools_log;  // what is read there, the replica does not take
  std::unique_ptr<Replica> replica;  // null until it has opened
  bool dead = false;     // crashed: whatever it still does counts for nothing
  bool closing = false;
  bool quiet = false;    // its clients end
  int busy = 0;          // fibers other than the replica's own

  bool over() const { return dead || closing; }
};
using ProcessPtr = std::shared_ptr<Process>;

class Sql {
 public:
  Sql(const Process& process, bool read_only);
  ~Sql();
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;

  bool open() const { return open_; }
  bool stale() const { return side_->stale(); }
  Connection& side() { return *side_; }

  bool run(const std::string& statements);
  bool insert(const std::string& text, const std::string& blob);
  std::string error() const;
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

  // The write lock and BEGIN IMMEDIATE, as the driver's begin().
  Verdict begin(Deadline deadline);
  // Ends what may be left of a transaction.
  void abandon();
  // False: the read was refused.
  bool read(Statement* statement);
  bool numbers(const std::string& query, std::vector<std::int64_t>* column);

 private:
  std::shared_ptr<Connection> side_;
  sqlite3* handle_ = nullptr;
  bool open_ = false;
};

class Bank {
 public:
  Bank(Random& random, Oracle& oracle) : random_(random), oracle_(oracle) {}

  // Creates the tables; true once they are durable.
  bool found(const ProcessPtr& process, Deadline deadline);

  // One transfer and what became of it. `final`: nothing else, and it waits long enough.
  bool transfer(const ProcessPtr& process, Sql& sql, bool final = false);

  // The lives of a writer and of a reader.
  void write(ProcessPtr process);
  void read(ProcessPtr process);

  // What a client does that does not know what became of its transaction.
  void ask(const ProcessPtr& process, Sql& sql, Token token);
  void run_again(const ProcessPtr& process, Sql& sql, Token token);

 private:
  bool change(Sql& sql, Token token, bool plain);
  void settle(const ProcessPtr& process, Sql& sql, Token token, bool final);
  Time pause(int most_ms);

  Random& random_;
  Oracle& oracle_;
  std::vector<std::pair<Token, Reign>> unknown_;
};

}  // namespace aurora::sim
