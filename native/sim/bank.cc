#include "sim/bank.h"

#include <sqlite3ext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "sim/report.h"

extern "C" int sqlite3_extension_init(sqlite3*, char**, const sqlite3_api_routines*);

namespace aurora::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// As aurora_store/tokens.py has it: the row says what became of the transaction.
std::string insert_token(Token token, bool committed) {
  return "INSERT INTO aurora_store_token VALUES('" + name_of(token) + "', 0, 0, " +
         (committed ? "1" : "0") + ")";
}
std::string find_token(Token token) {
  return "SELECT committed FROM aurora_store_token WHERE token = '" + name_of(token) + "'";
}

Deadline in(Time time) { return Clock::now() + time; }

constexpr char kSetup[] =
    "PRAGMA journal_mode=memory; PRAGMA synchronous=off; PRAGMA mmap_size=1099511627776; "
    "PRAGMA temp_store=memory";

constexpr char kTables[] =
    "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
    "CREATE TABLE aurora_store_token(token TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL, "
    "time_us INTEGER NOT NULL, committed INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE bank(one INTEGER PRIMARY KEY, transfers INTEGER NOT NULL);"
    "CREATE TABLE ballast(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "INSERT INTO bank VALUES(1, 0);";

}  // namespace

void register_vfs() {
  sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3_auto_extension(reinterpret_cast<void (*)(void)>(sqlite3_extension_init));
  sqlite3* loader = nullptr;
  sqlite3_open(":memory:", &loader);  // says no to "load permanently", but it is loaded
  sqlite3_close(loader);
  sqlite3_reset_auto_extension();
  if (sqlite3_vfs_find("aurora") == nullptr) {
    std::fputs("SQLite refused the VFS\n", stderr);
    std::exit(1);
  }
}

// ---- a connection ----

Sql::Sql(const Process& process, bool read_only)
    : side_(std::make_shared<Connection>(process.replica->database(), read_only)) {
  const std::string name = "file:aurora?vfs=aurora&connection=" + std::to_string(side_->id());
  open_ = sqlite3_open_v2(name.c_str(), &handle_,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                          nullptr) == SQLITE_OK &&
          run(kSetup);
}

Sql::~Sql() { sqlite3_close(handle_); }

bool Sql::run(const std::string& statements) {
  return sqlite3_exec(handle_, statements.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::string Sql::error() const { return sqlite3_errmsg(handle_); }

Verdict Sql::begin(Deadline deadline) {
  Verdict verdict = side_->acquire(deadline);
  if (!verdict.ok()) return verdict;
  if (run("BEGIN IMMEDIATE")) return {};
  if (!in_transaction()) side_->release();
  verdict = side_->take_refusal();
  if (verdict.ok()) verdict = {Refusal::busy, error(), 0};
  return verdict;
}

void Sql::abandon() {
  if (in_transaction()) run("ROLLBACK");
  side_->release();
}

bool Sql::insert(const std::string& text, const std::string& blob) {
  sqlite3_stmt* statement = nullptr;
  bool done = sqlite3_prepare_v2(handle_, text.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
              sqlite3_bind_blob(statement, 1, blob.data(), static_cast<int>(blob.size()),
                                SQLITE_STATIC) == SQLITE_OK;
  done = done && sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_finalize(statement);
  return done;
}

bool Sql::numbers(const std::string& query, std::vector<std::int64_t>* column) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle_, query.c_str(), -1, &statement, nullptr);
  if (code == SQLITE_OK) {
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      column->push_back(sqlite3_column_int64(statement, 0));
    }
  }
  sqlite3_finalize(statement);
  return code == SQLITE_DONE;
}

bool Sql::read(Statement* statement) {
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> count;
  if (!numbers("SELECT CAST(substr(token, 2) AS INTEGER) FROM aurora_store_token "
               "WHERE committed", &tokens) ||
      !numbers("SELECT balance FROM account ORDER BY id", &statement->balances) ||
      !numbers("SELECT transfers FROM bank", &count) || count.size() != 1) {
    return false;
  }
  statement->count = count[0];
  statement->tokens.assign(tokens.begin(), tokens.end());
  std::sort(statement->tokens.begin(), statement->tokens.end());
  return true;
}

// ---- the bank ----

Time Bank::pause(int most_ms) {
  return std::chrono::microseconds(random_.below(static_cast<std::uint64_t>(most_ms) * 1000));
}

bool Bank::found(const ProcessPtr& process, Deadline deadline) {
  Sql sql(*process, false);
  std::string tables = kTables;
  for (int i = 0; i < kAccounts; ++i) {
    tables += "INSERT INTO account VALUES(" + std::to_string(i) + ", " +
              std::to_string(kOpening) + ");";
  }
  return sql.open() && sql.run("PRAGMA auto_vacuum = full") && sql.begin(deadline).ok() && sql.run(tables) && sql.run("COMMIT") &&
         sql.side().wait(deadline).ok();
}

bool Bank::change(Sql& sql, Token token, bool plain) {
  const Transfer transfer = oracle_.transfer(token);
  const auto add = [](int account, std::int64_t amount) {
    return "UPDATE account SET balance = balance + " + std::to_string(amount) +
           " WHERE id = " + std::to_string(account);
  };
  if (!sql.run(insert_token(token, true))) return false;
  if (!sql.run(add(transfer.from, -transfer.amount))) return false;
  if (!plain && random_.chance(0.3)) Scheduler::current()->sleep(pause(20));
  if (!plain && random_.chance(0.15)) {
    std::string bytes(static_cast<std::size_t>(random_.between(100, 40'000)), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.next());
    if (!sql.insert("INSERT INTO ballast(data) VALUES(?)", bytes)) return false;
  }
  if (!plain && random_.chance(0.05)) {
    if (!sql.run("DELETE FROM ballast")) return false;
  }
  return sql.run(add(transfer.to, transfer.amount)) &&
         sql.run("UPDATE bank SET transfers = transfers + 1");
}

bool Bank::transfer(const ProcessPtr& process, Sql& sql, bool final) {
  Scheduler& scheduler = *Scheduler::current();
  const Deadline line = in(final ? Time(seconds(30)) : milliseconds(1) + pause(400));
  const Verdict begun = sql.begin(line);
  if (!begun.ok()) {
    if (begun.refusal == Refusal::busy) reach(Window::writer_waited);
    if (begun.refusal == Refusal::not_leader) reach(Window::not_leader);
    sql.abandon();
    return false;
  }
  if (!final && !unknown_.empty() && random_.chance(0.5)) {
    const std::size_t which = random_.below(unknown_.size());
    const auto [token, reign] = unknown_[which];
    unknown_.erase(unknown_.begin() + static_cast<std::ptrdiff_t>(which));
    Reign now = 0;
    if (!process->replica->database()->reign(&now).ok() || now <= reign) {
      unknown_.emplace_back(token, reign);
    } else if (random_.chance(0.5)) {
      ask(process, sql, token);
      return false;
    } else {
      run_again(process, sql, token);
      return true;
    }
  }

  Transfer transfer;
  transfer.from = static_cast<int>(random_.below(kAccounts));
  transfer.to = static_cast<int>(random_.below(kAccounts));
  transfer.amount = random_.between(1, 100);
  const Token token = oracle_.begin(transfer);
  note(process->name + " runs " + name_of(token));
  if (!change(sql, token, final) || (!final && random_.chance(0.05))) {
    sql.abandon();
    reach(Window::rolled_back);
    if (!process->dead) oracle_.never(token, "rolled back");
    return false;
  }
  if (!final && random_.chance(0.2)) scheduler.sleep(pause(20));
  settle(process, sql, token, final);
  return true;
}

// Commits, and tells the oracle what the client was told. One that crashes was told nothing.
void Bank::settle(const ProcessPtr& process, Sql& sql, Token token, bool final) {
  Reign reign = 0;
  Database& database = *process->replica->database();
  database.reign(&reign);
  if (!sql.run("COMMIT")) {
    const std::string why = sql.error();
    sql.abandon();
    if (!process->dead) oracle_.never(token, "COMMIT failed: " + why);
    return;
  }
  note(process->name + " published " + name_of(token));
  const bool patient = final || random_.chance(0.8);
  const Verdict verdict =
      sql.side().wait(patient ? in(seconds(60)) : in(milliseconds(1) + pause(300)));
  if (process->dead) {
    if (verdict.ok()) reach(Window::crash_untold);
    unknown_.emplace_back(token, reign);
    return oracle_.unknown(token);
  }
  const bool reign_over = database.may_commit(reign).refusal == Refusal::leadership_lost;
  switch (verdict.refusal) {
    case Refusal::none:
      if (reign_over) reach(Window::commit_settled_in);
      return oracle_.committed(token, verdict.position);
    case Refusal::leadership_lost:
      if (verdict.reason.find("the next leader began without it") != std::string::npos) {
        reach(Window::commit_settled_out);
      }
      return oracle_.never(token, verdict.reason);
    case Refusal::outcome_unknown:
      reach(Window::commit_unknown);
      [[fallthrough]];
    default:
      unknown_.emplace_back(token, reign);
      return oracle_.unknown(token);
  }
}

// The three of them as aurora_store/tokens.py: within a transaction that has begun.

// An answer is a commit of its own, unless the token is there.
void Bank::ask(const ProcessPtr& process, Sql& sql, Token token) {
  std::vector<std::int64_t> there;
  if (!sql.numbers(find_token(token), &there) ||
      (there.empty() && !sql.run(insert_token(token, false))) || !sql.run("COMMIT") ||
      !sql.side().wait(in(seconds(60))).ok() || process->dead) {
    return sql.abandon();
  }
  oracle_.answered(token, !there.empty() && there[0] != 0);
}

// The same transaction with the same token, by a client that does not know.
void Bank::run_again(const ProcessPtr& process, Sql& sql, Token token) {
  std::vector<std::int64_t> there;
  if (!sql.numbers(find_token(token), &there)) return sql.abandon();
  if (!there.empty()) {
    if (sql.run("COMMIT") && sql.side().wait(in(seconds(60))).ok() && !process->dead) {
      reach(Window::token_found);
      oracle_.answered(token, there[0] != 0);
    }
    return sql.abandon();
  }
  oracle_.run_again(token);
  if (!change(sql, token, true)) return sql.abandon();
  settle(process, sql, token, false);
}

void Bank::write(ProcessPtr process) {
  ++process->busy;
  Scheduler& scheduler = *Scheduler::current();
  std::unique_ptr<Sql> sql;
  while (!process->over() && !process->quiet) {
    scheduler.sleep(pause(60));
    if (process->over()) break;
    const ReplicaState state = process->replica->info().state;
    if (state != ReplicaState::leading && !random_.chance(0.05)) continue;
    if (sql && sql->stale()) {
      reach(Window::connection_stale);
      sql.reset();
    }
    if (!sql) sql = std::make_unique<Sql>(*process, false);
    if (!sql->open()) {
      sql.reset();
      continue;
    }
    transfer(process, *sql);
  }
  sql.reset();
  --process->busy;
}

void Bank::read(ProcessPtr process) {
  ++process->busy;
  Scheduler& scheduler = *Scheduler::current();
  std::unique_ptr<Sql> sql;
  std::int64_t last = 0;
  while (!process->over() && !process->quiet) {
    scheduler.sleep(pause(150));
    if (process->over()) break;
    if (!sql) {
      sql = std::make_unique<Sql>(*process, true);
      last = 0;
    }
    if (!sql->open() || sql->stale()) {
      sql.reset();
      continue;
    }
    const Position position = process->replica->info().position;
    Statement first;
    Statement second;
    bool good = sql->run("BEGIN") && sql->read(&first);
    const bool stays = good && random_.chance(0.5);
    if (stays) {
      const Version before = process->replica->database()->store()->stats().durable;
      scheduler.sleep(pause(100));
      good = sql->read(&second);
      if (process->replica->database()->store()->stats().durable > before) {
        reach(Window::view_across_commit);
      }
    }
    if (sql->in_transaction()) sql->run("COMMIT");
    if (!good || process->dead) {
      sql.reset();  // before the tables are there, or the copy was dropped
      continue;
    }
    const std::string who = process->name + "'s reader";
    oracle_.saw(who, first, position);
    if (stays && (second.count != first.count || second.balances != first.balances)) {
      fail("a reader keeps its version", who + " sees two versions in one transaction");
    }
    if (first.count < last) {
      fail("reads never go backwards on one connection",
           who + " sees " + std::to_string(first.count) + " transfers after " +
               std::to_string(last));
    }
    last = first.count;
  }
  sql.reset();
  --process->busy;
}

}  // namespace aurora::sim
