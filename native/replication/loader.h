// Loads a snapshot out of the entries of a log: its pages become the database as it was at the begin.
// What was committed meanwhile is skipped: apply the entries from the begin on once more
// (Applier::start).
//
// Holds the pages, and one entry beyond them.
#pragma once

#include <vector>

#include "pages/database.h"
#include "replication/snapshot_reader.h"

namespace aurora {

class Loader final : public SnapshotReader {
 public:
  // The database is empty, and stays so until a snapshot is complete.
  explicit Loader(Database& database) : database_(database) {}

 private:
  void begin() override { pages_.clear(); }
  void take_page(const DecodedPage& page) override;
  DecodeError finish() override;

  Database& database_;
  std::vector<PagePtr> pages_;
};

}  // namespace aurora
