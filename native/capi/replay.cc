// Entries, replays and images, for aurora_native.h.
#include "replication/replay.h"

#include <exception>

#include "capi/handles.h"
#include "pages/image.h"
#include "records/wire.h"

struct aur_replay {
  aurora::Replay replay;
  aur_database database{replay.database()};
};

struct aur_image {
  std::unique_ptr<aurora::DurableImage> image;
};

namespace {

using aurora::DecodeStatus;

int status_of(DecodeStatus status) {
  switch (status) {
    case DecodeStatus::ok: return AUR_OK;
    case DecodeStatus::not_ours: return AUR_NOT_OURS;
    case DecodeStatus::too_new: return AUR_TOO_NEW;
    case DecodeStatus::corrupt: break;
  }
  return AUR_CORRUPT;
}

template <std::size_t size>
void copy(char (&target)[size], const std::string& value) {
  aurora::copy(target, size, value);
}

void copy(aur_leader* target, const aurora::LeaderInfo& leader) {
  copy(target->host, leader.host);
  copy(target->software, leader.software);
  copy(target->instance, leader.instance);
  copy(target->schema, leader.schema);
}

// Fills `outcome` with what `decode` says of the entry.
template <typename Decode>
void judge(aur_outcome* outcome, Decode decode) {
  try {
    const aurora::DecodeError error = decode();
    aurora::fill(outcome, status_of(error.status), 0, error.reason);
  } catch (const std::exception& error) {
    aurora::fill(outcome, AUR_FAILED, 0, error.what());
  }
}

}  // namespace

extern "C" {

void aur_record_header(const char* data, size_t size, aur_record* record, aur_outcome* outcome) {
  judge(outcome, [&] {
    aurora::RecordHeader header;
    const std::string_view entry(data, size);
    aurora::DecodeError error = aurora::decode_header(entry, &header);
    if (error.status != DecodeStatus::ok) return error;
    const aurora::wire::WireHeader wire = aurora::wire::header_of(entry);
    *record = {};
    record->kind = static_cast<std::int32_t>(header.kind);
    record->compressed = (wire.flags & aurora::wire::kBodyIsZstd) != 0;
    record->epoch = header.epoch;
    record->first_version = header.first_version;
    record->last_version = header.last_version;
    record->checksum_before = header.checksum_before;
    record->checksum_after = header.checksum_after;
    record->time_us = header.time_us;
    record->snapshot = header.snapshot;
    record->page_count = header.page_count;
    record->part = header.part;
    record->transactions = header.transactions;
    record->body_size = wire.body_size;
    return error;
  });
}

void aur_record_leader(const char* data, size_t size, aur_leader* leader, aur_outcome* outcome) {
  judge(outcome, [&] {
    const std::string_view entry(data, size);
    aurora::RecordHeader header;
    aurora::DecodeError error = aurora::decode_header(entry, &header);
    if (error.status != DecodeStatus::ok) return error;
    aurora::LeaderInfo info;
    std::uint64_t leader_position = 0;
    error = header.kind == aurora::RecordKind::snapshot_begin
                ? aurora::decode_snapshot_begin(entry, &info, &leader_position)
                : aurora::decode_leader(entry, &info);
    if (error.status == DecodeStatus::ok) copy(leader, info);
    return error;
  });
}

size_t aur_record_pages(const char* data, size_t size, aur_page_change* pages, size_t capacity,
                        aur_outcome* outcome) {
  size_t count = 0;
  judge(outcome, [&] {
    const std::string_view entry(data, size);
    aurora::RecordHeader header;
    aurora::DecodeError error = aurora::decode_header(entry, &header);
    if (error.status != DecodeStatus::ok) return error;
    if (!aurora::holds_pages(header.kind)) return error;
    aurora::BatchDecoder decoder;
    error = decoder.decode(entry, header);
    if (error.status != DecodeStatus::ok) return error;
    count = decoder.pages().size();
    for (size_t i = 0; i < count && i < capacity; ++i) {
      const aurora::DecodedPage& page = decoder.pages()[i];
      pages[i] = {page.number, static_cast<std::int32_t>(page.change),
                  static_cast<std::uint32_t>(page.size)};
    }
    return error;
  });
  return count;
}

void aur_record_relocate(char* data, size_t size, uint64_t snapshot, aur_outcome* outcome) {
  judge(outcome, [&] {
    aurora::RecordHeader header;
    std::string entry(data, size);
    aurora::DecodeError error = aurora::decode_header(entry, &header);
    if (error.status != DecodeStatus::ok) return error;
    aurora::relocate(&entry, snapshot);
    entry.copy(data, size);
    return error;
  });
}

aur_replay* aur_replay_new(void) {
  try {
    return new aur_replay;
  } catch (const std::exception&) {
    return nullptr;
  }
}

void aur_replay_free(aur_replay* replay) { delete replay; }

void aur_replay_apply(aur_replay* replay, uint64_t position, const char* data, size_t size,
                      aur_outcome* outcome) {
  judge(outcome, [&] { return replay->replay.apply({position, std::string(data, size)}); });
  outcome->position = replay->replay.info().next;
}

void aur_replay_get_info(aur_replay* replay, aur_replay_info* info) {
  const aurora::Replay::Info now = replay->replay.info();
  *info = {};
  info->position = now.position;
  info->next = now.next;
  info->epoch = now.epoch;
  info->version = now.version;
  info->page_count = now.page_count;
  info->checksum = now.checksum;
  info->time_us = now.time_us;
  info->leader_position = now.leader_position;
  copy(&info->leader, now.leader);
}

aur_database* aur_replay_database(aur_replay* replay) { return &replay->database; }

aur_image* aur_image_open(aur_database* database, aur_outcome* outcome) {
  try {
    auto image = std::make_unique<aur_image>();
    const aurora::Verdict verdict = aurora::DurableImage::open(*database->database, &image->image);
    aurora::fill(outcome, verdict);
    return verdict.ok() ? image.release() : nullptr;
  } catch (const std::exception& error) {
    aurora::fill(outcome, AUR_REFUSED_NOT_READABLE, 0, error.what());
    return nullptr;
  }
}

void aur_image_free(aur_image* image) { delete image; }

void aur_image_get_info(aur_image* image, aur_image_info* info) {
  const aurora::DurableImage::Info now = image->image->info();
  *info = {now.mark.position, now.mark.time_us, now.mark.epoch,
           now.version,       now.checksum,     now.page_count};
}

size_t aur_image_read(aur_image* image, uint32_t first_page, size_t count, char* buffer) {
  return image->image->read(first_page, count, reinterpret_cast<std::uint8_t*>(buffer));
}

int aur_image_is_absent(aur_image* image, uint32_t page) {
  return image->image->is_absent(page) ? 1 : 0;
}

}  // extern "C"
