// The "SQLite connections" part of aurora_native.h: hands each call to an aurora::Connection.
#include "capi/handles.h"
#include "sqlite/vfs.h"

struct aur_connection {
  std::shared_ptr<aurora::Connection> connection;
};

namespace {

// Fills `outcome` with what `call` answers; with `if_thrown` should it run out of memory.
template <typename Call>
void answer(aur_outcome* outcome, aurora::Refusal if_thrown, Call call) {
  try {
    aurora::fill(outcome, call());
  } catch (const std::exception& error) {
    aurora::fill(outcome, static_cast<int>(if_thrown), 0, error.what());
  }
}

}  // namespace

extern "C" {

aur_connection* aur_connection_new(aur_database* database, int32_t read_only) {
  try {
    return new aur_connection{
        std::make_shared<aurora::Connection>(database->database, read_only != 0)};
  } catch (...) {
    return nullptr;
  }
}

void aur_connection_free(aur_connection* connection) { delete connection; }

uint64_t aur_connection_id(aur_connection* connection) { return connection->connection->id(); }

void aur_connection_acquire(aur_connection* connection, double timeout_s, aur_outcome* outcome) {
  answer(outcome, aurora::Refusal::busy, [&] {
    return connection->connection->acquire(aurora::deadline_after(timeout_s));
  });
}

void aur_connection_release(aur_connection* connection) { connection->connection->release(); }

void aur_connection_wait(aur_connection* connection, double timeout_s, aur_outcome* outcome) {
  answer(outcome, aurora::Refusal::timed_out, [&] {
    return connection->connection->wait(aurora::deadline_after(timeout_s));
  });
}

int aur_connection_unsettled(aur_connection* connection) {
  return connection->connection->unsettled() ? 1 : 0;
}

void aur_connection_refusal(aur_connection* connection, aur_outcome* outcome) {
  answer(outcome, aurora::Refusal::none,
         [&] { return connection->connection->take_refusal(); });
}

int aur_connection_stale(aur_connection* connection) {
  return connection->connection->stale() ? 1 : 0;
}

}  // extern "C"
