// How long something took, counted in buckets: any thread notes, any thread looks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace aurora {

class Latency {
 public:
  // Upper bounds of the buckets, in microseconds; what takes longer is counted in one more.
  static constexpr std::array<std::uint32_t, 16> kBounds_us = {
      100,    200,    500,    1'000,   2'000,   5'000,     10'000,    20'000,
      50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};
  static constexpr std::size_t kBuckets = kBounds_us.size() + 1;

  struct Counts {
    std::array<std::uint64_t, kBuckets> buckets{};
    std::uint64_t total_us = 0;
  };

  void note(std::chrono::nanoseconds time) {
    const auto us = static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count() / 1000);
    std::size_t bucket = 0;
    while (bucket < kBounds_us.size() && us > kBounds_us[bucket]) ++bucket;
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    total_us_.fetch_add(us, std::memory_order_relaxed);
  }

  Counts counts() const {
    Counts counts;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
    }
    counts.total_us = total_us_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> total_us_{0};
};

}  // namespace aurora
