// Page number -> newest page: the array under PageStore, with lock-free look-up.
//
// Two levels, so that nothing ever moves under a reader: 2^19 pointers to chunks of 8192 cells,
// enough for every 32-bit page number. The upper level is memory from calloc: what is never
// touched costs address space only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#include "pages/page_store.h"

namespace aurora {

// newest: any thread. All others: the one thread that may change the store at that moment.
class PageTable {
 public:
  PageTable() : chunks_(static_cast<Chunk*>(std::calloc(kChunks, sizeof(Chunk)))) {
    if (!chunks_) throw std::bad_alloc();
  }
  ~PageTable() {
    for (std::size_t i = 0; i < used_; ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
  }
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  Page* newest(PageNumber number) const {
    const Cell* chunk = chunks_[number / kCells].load(std::memory_order_acquire);
    return chunk ? chunk[number % kCells].load(std::memory_order_acquire) : nullptr;
  }

  // Makes room, so that set() cannot fail.
  void reserve(PageNumber number) {
    const std::size_t index = number / kCells;
    if (chunks_[index].load(std::memory_order_relaxed)) return;
    chunks_[index].store(new Cell[kCells](), std::memory_order_release);
    if (index >= used_) used_ = index + 1;
  }

  void set(PageNumber number, Page* page) {
    Cell* chunk = chunks_[number / kCells].load(std::memory_order_relaxed);
    chunk[number % kCells].store(page, std::memory_order_release);
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < used_; ++i) {
      const Cell* chunk = chunks_[i].load(std::memory_order_relaxed);
      for (std::size_t j = 0; chunk && j < kCells; ++j) {
        if (Page* page = chunk[j].load(std::memory_order_relaxed)) visit(page);
      }
    }
  }

 private:
  using Cell = std::atomic<Page*>;
  using Chunk = std::atomic<Cell*>;
  static_assert(std::is_trivially_default_constructible_v<Chunk>, "calloc makes null pointers");
  static constexpr std::size_t kCells = 8192;
  static constexpr std::size_t kChunks = (std::size_t{1} << 32) / kCells;

  struct Free {
    void operator()(Chunk* chunks) const { std::free(chunks); }
  };
  std::unique_ptr<Chunk[], Free> chunks_;
  std::size_t used_ = 0;  // chunks at or past it were never allocated
};

}  // namespace aurora
