#include "sim/oracle.h"

#include <algorithm>
#include <numeric>

#include "sim/report.h"

namespace aurora::sim {

std::string name_of(Token token) { return "t" + std::to_string(token); }

Token Oracle::begin(const Transfer& transfer) {
  Attempted attempted;
  attempted.transfer = transfer;
  all_.push_back(attempted);
  return static_cast<Token>(all_.size()) - 1;
}

void Oracle::committed(Token token, Position position) {
  Attempted& its = all_[index(token)];
  if (its.fate == Fate::never) {
    fail("a token's outcome never changes",
         name_of(token) + " is committed, but was certainly not (" + its.why + ")");
  }
  its.fate = Fate::committed;
  its.position = position;
  note(name_of(token) + " committed within " + std::to_string(position));
}

void Oracle::never(Token token, const std::string& why) {
  Attempted& its = all_[index(token)];
  if (!its.again && (its.fate == Fate::committed || its.seen)) {
    fail("LeadershipLost means certainly not in the log",
         name_of(token) + " is said not to be (" + why + "), but was " +
             (its.seen ? "seen" : "committed"));
  }
  if (its.again) return;
  its.fate = Fate::never;
  its.why = why;
  note(name_of(token) + " certainly not: " + why);
}

void Oracle::unknown(Token token) {
  Attempted& its = all_[index(token)];
  if (its.fate != Fate::open) return;
  its.fate = Fate::unknown;
  note(name_of(token) + " unknown");
}

void Oracle::answered(Token token, bool committed) {
  Attempted& its = all_[index(token)];
  note(name_of(token) + " asked for: " + (committed ? "committed" : "not committed"));
  reach(committed ? Window::token_said_in : Window::token_said_out);
  if (its.fate == Fate::never && committed) {
    fail("a token's outcome never changes", name_of(token) + " was certainly not committed (" +
                                                its.why + "), and a leader says it is");
  }
  if ((its.fate == Fate::committed || its.seen) && !committed) {
    fail("a token's outcome never changes",
         name_of(token) + " was committed, and a leader says it is not");
  }
  its.asked = true;
  its.fate = committed ? Fate::committed : Fate::never;
  its.why = "a later leader said so";
}

void Oracle::run_again(Token token) {
  Attempted& its = all_[index(token)];
  its.again = true;
  note(name_of(token) + " again");
  reach(Window::token_again);
}

void Oracle::check_sum(const std::string& who, const Statement& statement) const {
  const std::int64_t sum =
      std::accumulate(statement.balances.begin(), statement.balances.end(), std::int64_t{0});
  if (sum != kAccounts * kOpening) {
    fail("the bank's sum holds", who + " sees a sum of " + std::to_string(sum));
  }
}

void Oracle::saw(const std::string& who, const Statement& statement, Position position) {
  check_sum(who, statement);
  std::vector<std::int64_t> balances(kAccounts, kOpening);
  for (const Token token : statement.tokens) {
    if (token < 0 || index(token) >= all_.size()) {
      fail("nothing is there that nobody wrote", who + " sees " + name_of(token));
    }
    Attempted& its = all_[index(token)];
    if (its.fate == Fate::never) {
      fail("LeadershipLost means certainly not in the log",
           who + " sees " + name_of(token) + ", which is certainly not (" + its.why + ")");
    }
    its.seen = true;
    balances[index(its.transfer.from)] -= its.transfer.amount;
    balances[index(its.transfer.to)] += its.transfer.amount;
  }
  if (balances != statement.balances ||
      statement.count != static_cast<std::int64_t>(statement.tokens.size())) {
    fail("all of a transaction or nothing",
         who + " sees balances that its " + std::to_string(statement.tokens.size()) +
             " tokens do not explain (it counts " + std::to_string(statement.count) + ")");
  }
  for (Token token = 0; index(token) < all_.size(); ++token) {
    const Attempted& its = all_[index(token)];
    if (its.fate == Fate::committed && its.position <= position && !its.asked &&
        !std::binary_search(statement.tokens.begin(), statement.tokens.end(), token)) {
      fail("acknowledged transactions are there",
           who + " has applied position " + std::to_string(position) + " and lacks " +
               name_of(token) + ", committed at " + std::to_string(its.position));
    }
  }
}

void Oracle::version(const std::string& who, Version version, std::uint64_t digest) {
  const auto [known, first] = versions_.emplace(version, digest);
  if (!first && known->second != digest) {
    fail("replicas at the same version are the same bytes",
         who + " has another version " + std::to_string(version));
  }
}

void Oracle::leads(const std::string& who, Position reign, Position known) {
  if (reign < known) {
    fail("whoever is told that it leads was not deposed before it asked",
         who + " leads since position " + std::to_string(reign) +
             ", and another reign had begun at position " + std::to_string(known));
  }
  newest_reign_ = std::max(newest_reign_, reign);
}

void Oracle::check_final(const Statement& statement) {
  saw("the end", statement, 0);
  for (Token token = 0; index(token) < all_.size(); ++token) {
    const Attempted& its = all_[index(token)];
    const bool there =
        std::binary_search(statement.tokens.begin(), statement.tokens.end(), token);
    if (its.fate == Fate::committed && !there) {
      fail("acknowledged transactions are there", name_of(token) + " is gone");
    }
    if (its.seen && !there) {
      fail("reads never show what was taken back", name_of(token) + " was seen, and is gone");
    }
    if (its.fate == Fate::unknown) {
      reach(there ? Window::unknown_was_in : Window::unknown_was_out);
    }
  }
}

}  // namespace aurora::sim
