// Loads libmesos and resolves what the binding uses of it; once per process.
//
// The library is loaded with dlopen and every function is looked up by its mangled name, so this
// module builds and imports where there is no libmesos. It is loaded RTLD_LOCAL, because it exports
// all its symbols (protobuf, LevelDB, ZooKeeper, ...), and never unloaded: its threads stay.
#pragma once

#include <cstdio>
#include <string>

#include "log/replicated_log.h"
#include "mesos/abi.h"

namespace aurora {

// One pointer for each line of symbols.txt.
struct LibmesosSymbols {
  template <class T>
  using OnAny = void (*)(const abi::Future<T>*, abi::CallableOnce*);
  template <class T>
  using Discard = bool (*)(abi::Future<T>*);
  template <class T>
  using Get = const T& (*)(const abi::Future<T>*);
  template <class T>
  using Failure = const std::string& (*)(const abi::Future<T>*);
  using OptionPosition = abi::Option<abi::LogPosition>;

  // `peers` is a std::set<process::UPID>.
  void (*log_process_new_static)(void* memory, std::size_t quorum, const std::string& directory,
                                 const void* peers, bool auto_initialize,
                                 const abi::Option<std::string>& metrics_prefix);
  void (*log_new_zookeeper)(abi::Log*, int quorum, const std::string& directory,
                            const std::string& servers, const abi::Duration& session_timeout,
                            const std::string& znode, const abi::Option<abi::Authentication>&,
                            bool auto_initialize, const abi::Option<std::string>& metrics_prefix);
  void (*log_delete)(abi::Log*);

  void (*reader_new)(abi::Reader*, abi::Log*);
  void (*reader_delete)(abi::Reader*);
  abi::Future<abi::LogPosition> (*reader_beginning)(abi::Reader*);
  abi::Future<abi::LogPosition> (*reader_ending)(abi::Reader*);
  abi::Future<abi::Entries> (*reader_read)(abi::Reader*, const abi::LogPosition& from,
                                           const abi::LogPosition& to);
  abi::Future<abi::LogPosition> (*reader_catchup)(abi::Reader*);

  void (*writer_new)(abi::Writer*, abi::Log*);
  void (*writer_delete)(abi::Writer*);
  abi::Future<OptionPosition> (*writer_start)(abi::Writer*);
  abi::Future<OptionPosition> (*writer_append)(abi::Writer*, const std::string& data);
  abi::Future<OptionPosition> (*writer_truncate)(abi::Writer*, const abi::LogPosition& to);

  OnAny<abi::LogPosition> future_position_on_any;
  Discard<abi::LogPosition> future_position_discard;
  Get<abi::LogPosition> future_position_get;
  Failure<abi::LogPosition> future_position_failure;
  OnAny<OptionPosition> future_option_on_any;
  Discard<OptionPosition> future_option_discard;
  Get<OptionPosition> future_option_get;
  Failure<OptionPosition> future_option_failure;
  OnAny<abi::Entries> future_entries_on_any;
  Discard<abi::Entries> future_entries_discard;
  Get<abi::Entries> future_entries_get;
  Failure<abi::Entries> future_entries_failure;

  void (*upid_new)(void*, const std::string& text);
  void (*upid_copy)(void*, const void* other);
  void (*upid_delete)(void*);
  bool (*upid_is_valid)(const void*);
  bool (*upid_less)(const void*, const void*);
  std::string (*upid_to_string)(const void*);

  bool (*process_initialize)(const abi::Option<std::string>& delegate,
                             const abi::Option<std::string>& readwrite_realm,
                             const abi::Option<std::string>& readonly_realm);
  abi::Address (*process_address)();
  void* (*process_spawn)(abi::UpidMemory* result, void* process_base, bool manage);
  void* (*process_link)(abi::UpidMemory* result, void* process_base, const void* upid,
                        int remote_connection);

  void (*glog_init)(const char* name);
  void (*glog_set_destination)(int severity, const char* file);
  void (*glog_add_sink)(abi::LogSink*);
  void (*glog_install_failure_function)(void (*)());
  int* glog_flag_minloglevel;
  int* glog_flag_stderrthreshold;
  bool* glog_flag_logtostderr;
  const void* glog_sink_send_default;

  void (*zoo_set_debug_level)(int level);
  void (*zoo_set_log_stream)(std::FILE*);
};

// ok also when the same library is loaded already; failed: `reason` names the file and the cause.
Outcome load_libmesos(const std::string& path);

bool libmesos_is_loaded();

// Only after load_libmesos() answered ok.
const LibmesosSymbols& libmesos();

// The address of a symbol that only some uses need, or null: not loaded, or a library without it.
void* find_in_libmesos(const char* mangled);

}  // namespace aurora
