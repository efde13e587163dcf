// What must be true, whatever happens: knows every transaction that was ever tried, what its client
// was told of it, and what anybody has read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "log/replicated_log.h"
#include "pages/page_store.h"

namespace aurora::sim {

using Token = int;  // counts from 0

struct Transfer {
  int from = 0;
  int to = 0;
  std::int64_t amount = 0;
};

// What one read of the whole bank shows.
struct Statement {
  std::vector<Token> tokens;  // in ascending order
  std::vector<std::int64_t> balances;
  std::int64_t count = 0;  // of transfers, as the bank itself keeps it
};

constexpr int kAccounts = 8;
constexpr std::int64_t kOpening = 1000;

class Oracle {
 public:
  Token begin(const Transfer& transfer);
  Transfer transfer(Token token) const { return all_[index(token)].transfer; }

  // What the client of its last attempt was told.
  void committed(Token token, Position position);
  void never(Token token, const std::string& why);  // certainly not in the log
  void unknown(Token token);

  // What a leader said about the token of an attempt that was unknown.
  void answered(Token token, bool committed);
  // Its first attempt is still unknown: what the second is told to be lost, may be there by the
  // first.
  void run_again(Token token);

  // A durable read by `who`, of a replica that had applied everything up to `position`.
  void saw(const std::string& who, const Statement& statement, Position position);

  // The pages of a durable version: the same on every replica, for ever.
  void version(const std::string& who, Version version, std::uint64_t digest);

  // lead() told `who` that it leads, in the reign that began at position `reign`. `known`: what
  // newest_reign() was when it was asked.
  void leads(const std::string& who, Position reign, Position known);
  Position newest_reign() const { return newest_reign_; }

  // At the end, when everything has settled.
  void check_final(const Statement& statement);

  std::size_t transactions() const { return all_.size(); }

 private:
  enum class Fate { open, unknown, committed, never };
  struct Attempted {
    Transfer transfer;
    Fate fate = Fate::open;
    Position position = 0;  // committed: within the log up to here
    bool seen = false;      // by a durable read
    bool asked = false;     // a leader said what became of it
    bool again = false;
    std::string why;
  };
  static std::size_t index(Token token) { return static_cast<std::size_t>(token); }
  void check_sum(const std::string& who, const Statement& statement) const;

  std::vector<Attempted> all_;
  std::map<Version, std::uint64_t> versions_;
  Position newest_reign_ = 0;  // that anybody was told of
};

std::string name_of(Token token);

}  // namespace aurora::sim
