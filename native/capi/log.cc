// libmesos, libprocess, replicated logs and streams, for aurora_native.h.
#include <cstdlib>
#include <exception>
#include <list>
#include <new>

#include "capi/handles.h"
#include "log/entry_stream.h"
#include "mesos/library.h"
#include "mesos/logging.h"
#include "mesos/mesos_log.h"
#include "mesos/runtime.h"

struct aur_entries {
  std::list<aurora::Entry> entries;
  std::list<aurora::Entry>::iterator at = entries.begin();
  std::size_t index = 0;
};

struct aur_stream {
  std::shared_ptr<aurora::ReplicatedLog> log;  // outlives the stream, whoever is freed first
  aurora::EntryStream stream;
};

namespace {

using aurora::copy;
using aurora::text;

// Nothing here is expected to throw but an allocation; whatever does is an outcome.
template <class Work>
void guard(aur_outcome* outcome, Work work) {
  try {
    aurora::fill(outcome, work());
  } catch (const std::exception& error) {
    aurora::fill(outcome, AUR_FAILED, 0, error.what());
  }
}

template <class Read>
aur_entries* entries_of(aur_outcome* outcome, Read read) {
  std::unique_ptr<aur_entries> result;
  guard(outcome, [&] {
    result = std::make_unique<aur_entries>();
    const aurora::Outcome read_outcome = read(&result->entries);
    result->at = result->entries.begin();
    return read_outcome;
  });
  return outcome->status == AUR_OK ? result.release() : nullptr;
}

}  // namespace

extern "C" {

// ---- libmesos and libprocess ----

void aur_libmesos_load(const char* path, aur_outcome* outcome) {
  guard(outcome, [&] { return aurora::load_libmesos(path); });
}

void aur_libprocess_start(const aur_libprocess_options* options, aur_outcome* outcome) {
  guard(outcome, [&] {
    aurora::LibprocessOptions wanted;
    wanted.ip = text(options->ip);
    wanted.port = options->port;
    wanted.advertise_ip = text(options->advertise_ip);
    wanted.advertise_port = options->advertise_port;
    wanted.worker_threads = options->worker_threads;
    wanted.delegate = text(options->delegate);
    return aurora::start_libprocess(wanted);
  });
}

int aur_libprocess_address(char* buffer, size_t size) {
  const std::string address = aurora::libprocess_address();
  if (size > 0) copy(buffer, size, address);
  return address.empty() ? 0 : 1;
}

int aur_libmesos_log_line(aur_log_line* line, double timeout_s) {
  aurora::LibmesosLogLine next;
  if (!aurora::next_libmesos_log_line(&next, aurora::deadline_after(timeout_s))) return 0;
  line->severity = next.severity;
  line->dropped = next.dropped;
  line->line = next.line;
  copy(line->file, sizeof(line->file), next.file);
  copy(line->text, sizeof(line->text), next.text);
  return 1;
}

void aur_libmesos_log_level(int32_t minimum_severity) {
  aurora::set_libmesos_log_level(minimum_severity);
}

// ---- a replicated log ----

aur_log* aur_log_open_mesos(const aur_mesos_log_options* options, aur_outcome* outcome) {
  std::unique_ptr<aur_log> result;
  guard(outcome, [&] {
    aurora::MesosLogOptions wanted;
    wanted.directory = text(options->directory);
    wanted.quorum = options->quorum;
    wanted.auto_initialize = options->auto_initialize != 0;
    wanted.peers = text(options->peers);
    wanted.zk_servers = text(options->zk_servers);
    wanted.zk_znode = text(options->zk_znode);
    wanted.zk_session_timeout = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(options->zk_session_timeout_s));
    wanted.zk_credentials = text(options->zk_credentials);
    wanted.metrics_prefix = text(options->metrics_prefix);
    std::shared_ptr<aurora::MesosLog> log;
    const aurora::Outcome opened = aurora::MesosLog::open(wanted, &log);
    if (opened.ok()) result.reset(new aur_log{std::move(log)});
    return opened;
  });
  return result.release();
}

void aur_log_close(aur_log* log) { log->log->close(); }

void aur_log_free(aur_log* log) {
  if (log == nullptr) return;
  log->log->close();
  delete log;
}

void aur_log_elect(aur_log* log, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->elect(aurora::deadline_after(timeout_s)); });
}

void aur_log_append(aur_log* log, const char* data, size_t size, double timeout_s,
                    aur_outcome* outcome) {
  guard(outcome, [&] {
    return log->log->append(std::string(data, size), aurora::deadline_after(timeout_s));
  });
}

void aur_log_truncate(aur_log* log, uint64_t to, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->truncate(to, aurora::deadline_after(timeout_s)); });
}

void aur_log_beginning(aur_log* log, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->beginning(aurora::deadline_after(timeout_s)); });
}

void aur_log_ending(aur_log* log, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->ending(aurora::deadline_after(timeout_s)); });
}

void aur_log_catchup(aur_log* log, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->catchup(aurora::deadline_after(timeout_s)); });
}

void aur_log_compact(aur_log* log, double timeout_s, aur_outcome* outcome) {
  guard(outcome, [&] { return log->log->compact(aurora::deadline_after(timeout_s)); });
}

uint64_t aur_log_disk_bytes(aur_log* log, uint64_t from, uint64_t to) {
  return log->log->disk_bytes(from, to);
}

int aur_log_can_compact(const aur_log* log) { return log->log->compacts() ? 1 : 0; }

aur_entries* aur_log_read(aur_log* log, uint64_t from, uint64_t to, double timeout_s,
                          aur_outcome* outcome) {
  return entries_of(outcome, [&](std::list<aurora::Entry>* entries) {
    return log->log->read(from, to, entries, aurora::deadline_after(timeout_s));
  });
}

// ---- entries ----

size_t aur_entries_count(const aur_entries* entries) { return entries->entries.size(); }

void aur_entries_get(aur_entries* entries, size_t index, uint64_t* position, const char** data,
                     size_t* size) {
  if (index < entries->index) {
    entries->at = entries->entries.begin();
    entries->index = 0;
  }
  for (; entries->index < index; ++entries->index) ++entries->at;
  *position = entries->at->position;
  *data = entries->at->data.data();
  *size = entries->at->data.size();
}

void aur_entries_free(aur_entries* entries) { delete entries; }

// ---- streams ----

aur_stream* aur_stream_open(aur_log* log, const aur_stream_options* options) {
  aurora::EntryStream::Options wanted;
  wanted.from = options->from;
  wanted.from_beginning = options->from_beginning != 0;
  if (options->has_to != 0) wanted.to = options->to;
  if (options->window_bytes != 0) wanted.window_bytes = options->window_bytes;
  try {
    return new aur_stream{log->log, aurora::EntryStream(*log->log, wanted)};
  } catch (const std::exception&) {
    return nullptr;  // no memory, or no thread
  }
}

aur_entries* aur_stream_next(aur_stream* stream, double timeout_s, aur_outcome* outcome) {
  return entries_of(outcome, [&](std::list<aurora::Entry>* entries) {
    return stream->stream.next(entries, aurora::deadline_after(timeout_s));
  });
}

void aur_stream_get_progress(aur_stream* stream, aur_stream_progress* progress) {
  const aurora::EntryStream::Progress now = stream->stream.progress();
  *progress = {now.entries, now.bytes, now.next, now.ending, now.catchups, now.buffered_bytes_max};
}

void aur_stream_cancel(aur_stream* stream) { stream->stream.cancel(); }

void aur_stream_free(aur_stream* stream) { delete stream; }

}  // extern "C"
