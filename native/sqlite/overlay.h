// The pages that one write transaction has changed, and the sizes it gave the database, before
// any of it is published. Belongs to one connection, so to one thread at a time.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "pages/page_store.h"

namespace aurora {

class Overlay {
 public:
  // Starts a transaction on a database of `page_count` pages.
  void begin(std::uint32_t page_count);

  // The transaction's own bytes of a page, or null if it has not written it.
  const std::uint8_t* find(PageNumber number) const;

  // Whether a page that the transaction has not written shows what it held before. Not so once
  // the transaction cut the database below it: grown again, the page reads as zeros.
  bool shows_base(PageNumber number) const { return number <= kept_; }

  void write(PageNumber number, const std::uint8_t* bytes);
  void truncate(std::uint32_t page_count);

  bool changed() const;
  std::uint32_t page_count() const { return page_count_; }
  std::uint32_t kept() const { return kept_; }  // the smallest size by truncate()

  std::vector<PagePtr> take();  // leaves it without pages
  void clear();

 private:
  std::uint32_t base_count_ = 0;
  std::uint32_t page_count_ = 0;
  std::uint32_t kept_ = 0;
  std::vector<PagePtr> pages_;
  std::unordered_map<PageNumber, std::size_t> index_;  // into pages_
};

}  // namespace aurora
