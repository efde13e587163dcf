#include "replication/replay.h"

namespace aurora {

Replay::Replay() : database_(std::make_shared<Database>()), applier_(*database_) {
  database_->set_readable(true, {});
}

DecodeError Replay::apply(const Entry& entry) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (entry.position < info_.next) {
    return {DecodeStatus::corrupt, "position " + std::to_string(entry.position) +
                                       " where position " + std::to_string(info_.next) +
                                       " or later was due"};
  }
  RecordHeader header;
  DecodeError error = decode_header(entry.data, &header);
  if (error.status != DecodeStatus::ok) return error;
  if (info_.next == 0 && header.kind == RecordKind::snapshot_begin) {
    loader_ = std::make_unique<Loader>(*database_);
    error = load(entry);
    if (error.status != DecodeStatus::ok) loader_.reset();
    return error;
  }
  if (loader_) return load(entry);
  error = applier_.apply(entry);
  if (error.status != DecodeStatus::ok) return error;
  info_.position = entry.position;
  info_.next = entry.position + 1;
  info_.time_us = header.time_us;
  return error;
}

DecodeError Replay::load(const Entry& entry) {
  const DecodeError error = loader_->take(entry);
  if (error.status != DecodeStatus::ok) return error;
  info_.position = entry.position;
  if (loader_->complete()) {
    info_.position = loader_->snapshot().position;
    info_.time_us = loader_->snapshot().time_us;
    applier_.start(*loader_);
    loader_.reset();
  }
  info_.next = info_.position + 1;
  return error;
}

Replay::Info Replay::info() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Info info = info_;
  const PageStore::Stats pages = database_->store()->stats();
  info.epoch = applier_.epoch();
  info.version = pages.durable;
  info.page_count = pages.page_count;
  info.checksum = pages.checksum;
  info.leader_position = applier_.leader_position();
  info.leader = applier_.leader();
  return info;
}

}  // namespace aurora
