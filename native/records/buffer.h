// A byte buffer that keeps its memory from one use to the next and never fills it with zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace aurora {

class Buffer {
 public:
  const std::uint8_t* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }
  void clear() { size_ = 0; }

  // At least `wanted` bytes behind those in use; tell with grow() how many were used.
  std::uint8_t* room(std::size_t wanted) {
    if (capacity_ - size_ < wanted) reserve(std::max(size_ + wanted, capacity_ * 2));
    return bytes_.get() + size_;
  }
  void grow(std::size_t used) { size_ += used; }

 private:
  void reserve(std::size_t capacity) {
    std::unique_ptr<std::uint8_t[]> bytes(new std::uint8_t[capacity]);
    if (size_ != 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace aurora
