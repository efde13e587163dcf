// A whole version of the database, held as it was when it became durable: for copies of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "pages/database.h"

namespace aurora {

// Any thread may use it; it keeps the pages it needs in memory, and outlives the Database.
class DurableImage {
 public:
  struct Info {
    LogMark mark;  // of the entry that completed this version
    Version version = 0;
    std::uint32_t page_count = 0;
    std::uint64_t checksum = 0;
  };

  // Holds the durable version of now. Refused: not_readable, closed.
  static Verdict open(Database& database, std::unique_ptr<DurableImage>* image);
  ~DurableImage();
  DurableImage(const DurableImage&) = delete;
  DurableImage& operator=(const DurableImage&) = delete;

  Info info() const;

  // Copies up to `count` pages from `first` on, and returns how many there were before the end.
  // Absent pages are zeros.
  std::size_t read(PageNumber first, std::size_t count, std::uint8_t* buffer) const;

  // Whether a page has no content, so that it is none of those which the checksum is of.
  bool is_absent(PageNumber number) const;

 private:
  explicit DurableImage(const Database::View& view) : view_(view) {}

  const Database::View view_;
};

}  // namespace aurora
