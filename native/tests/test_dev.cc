// The development cluster where there is no libmesos: every entrance says so, and nothing starts.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "dev/cluster.h"
#include "dev/containerizer.h"
#include "dev/symbols.h"

using aurora::Status;

TEST_CASE("no symbol is found before libmesos is loaded") {
  aurora::DevSymbols symbols{};
  const aurora::Outcome outcome = aurora::find_dev_symbols(&symbols);
  CHECK(outcome.status == Status::failed);
  CHECK(outcome.reason == "libmesos is not loaded");
  CHECK((symbols.local_launch == nullptr));
}

TEST_CASE("a cluster is not launched without libmesos") {
  CHECK(aurora::launch_mesos("/nonexistent", 1).status == Status::failed);
}

TEST_CASE("the containerizer does not run without libmesos and leaves the exit code alone") {
  const char* const argv[] = {"launch"};
  int exit_code = 42;
  CHECK(aurora::run_mesos_containerizer(1, argv, &exit_code).status == Status::failed);
  CHECK(exit_code == 42);
}
