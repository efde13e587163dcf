/* The whole C interface of the native part: the one header that cffi reads.
 *
 * The builder (../setup.py) takes what stands between CFFI-BEGIN and CFFI-END word for word, so
 * that part holds declarations only: no preprocessor lines, no C++.
 *
 * Rules for all of it
 *   - Any thread may call anything at any time, except that a handle may not be freed while
 *     another call uses it. Calls that can block take a time limit in seconds and hold no Python
 *     lock (cffi releases it around every call).
 *   - No C++ exception crosses: what goes wrong is in the aur_outcome.
 *   - Texts are UTF-8 and end with a zero byte. Out-pointers may not be null.
 *   - Every *_open / *_new has its *_free, which closes first and waits for calls inside to end.
 */
#ifndef AURORA_NATIVE_H
#define AURORA_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CFFI-BEGIN */

/* ---- outcomes ---------------------------------------------------------------------------- */

/* status: of log calls an AUR_* below (aurora::Status); of database calls an AUR_REFUSED_*
 * (aurora::Refusal). Zero is success in both. */
typedef struct {
  int32_t status;
  uint64_t position;
  char reason[2048];
} aur_outcome;

enum {
  AUR_OK = 0,
  AUR_NONE = 1,
  AUR_FAILED = 2,
  AUR_NO_ANSWER = 3,
  AUR_CLOSED = 4,
  AUR_TRUNCATED = 5,
  AUR_MISSING = 6,
  AUR_PENDING = 7,
  AUR_END = 8,
  AUR_CORRUPT = 9,
  AUR_TOO_NEW = 10,
  AUR_NOT_OURS = 11 /* of aur_record_* and aur_replay_* alone: another application's entry */
};

enum {
  AUR_REFUSED_NOT_LEADER = 1,
  AUR_REFUSED_LEADERSHIP_LOST = 2,
  AUR_REFUSED_OUTCOME_UNKNOWN = 3,
  AUR_REFUSED_BUSY = 4,
  AUR_REFUSED_NOT_READABLE = 5,
  AUR_REFUSED_STALE_CONNECTION = 6,
  AUR_REFUSED_CLOSED = 7,
  AUR_REFUSED_TIMED_OUT = 8
};

/* ---- libmesos and libprocess, once per process (mesos/) ----------------------------------- */

/* Loads the library and resolves every symbol of mesos/symbols.txt. Again with the same path:
 * AUR_OK. Another path: AUR_FAILED. */
void aur_libmesos_load(const char* path, aur_outcome* outcome);

typedef struct {
  const char* ip;             /* IPv4 address to listen on */
  uint16_t port;              /* 0: any free one */
  const char* advertise_ip;   /* or null */
  uint16_t advertise_port;    /* or 0 */
  int32_t worker_threads;     /* of libprocess; 0: the measured default */
  const char* delegate;       /* the actor for requests that name none, or null */
} aur_libprocess_options;

/* Starts libprocess. Only the first call of a process decides; later ones answer AUR_FAILED if they
 * want something else. Checks that the port can be bound first (libprocess would abort). */
void aur_libprocess_start(const aur_libprocess_options* options, aur_outcome* outcome);

/* Where libprocess listens: "ip:port" into `buffer`. Returns 0 if it was not started. */
int aur_libprocess_address(char* buffer, size_t size);

/* The next line that libmesos logged, waiting up to timeout_s. Returns 1, or 0 if none came.
 * severity: 0 info, 1 warning, 2 error, 3 fatal. Lines are kept in a bounded queue; `dropped` counts
 * those lost. For one consumer thread. */
typedef struct {
  int32_t severity;
  uint64_t dropped;
  char file[128];
  int32_t line;
  char text[4096];
} aur_log_line;
int aur_libmesos_log_line(aur_log_line* line, double timeout_s);

/* 0: all, 1: warnings and worse (default), 2: errors ... Cheaper at the source than in Python: the
 * library writes two info lines per append. */
void aur_libmesos_log_level(int32_t minimum_severity);

/* ---- a replicated log (log/, mesos/) ------------------------------------------------------ */

typedef struct aur_log aur_log;

typedef struct {
  const char* directory;
  int32_t quorum;                  /* floor(replicas / 2) + 1 */
  int32_t auto_initialize;
  /* static peers: "log-replica(1)@ip:port,...", this replica's own may be among them */
  const char* peers;               /* or null when ZooKeeper is used */
  const char* zk_servers;          /* "host:port,host:port" or null */
  const char* zk_znode;            /* "/path" */
  double zk_session_timeout_s;
  const char* zk_credentials;      /* "user:password" (digest) or null */
  const char* metrics_prefix;      /* "" or "name/" */
} aur_mesos_log_options;

/* The caller has made sure of the directory, its LOCK and its LevelDB, and of ZooKeeper
 * (aurora_store/log/directory.py, zookeeper.py): on unusable ones libmesos ends the process. Null on
 * failure. */
aur_log* aur_log_open_mesos(const aur_mesos_log_options* options, aur_outcome* outcome);

void aur_log_close(aur_log* log); /* ends all calls; idempotent */
void aur_log_free(aur_log* log);

void aur_log_elect(aur_log* log, double timeout_s, aur_outcome* outcome);
void aur_log_append(aur_log* log, const char* data, size_t size, double timeout_s,
                    aur_outcome* outcome);
void aur_log_truncate(aur_log* log, uint64_t to, double timeout_s, aur_outcome* outcome);
void aur_log_beginning(aur_log* log, double timeout_s, aur_outcome* outcome);
void aur_log_ending(aur_log* log, double timeout_s, aur_outcome* outcome);
void aur_log_catchup(aur_log* log, double timeout_s, aur_outcome* outcome);

/* Gives the disk space of truncated entries back; appends go on meanwhile. AUR_NO_ANSWER: it goes on
 * by itself. AUR_FAILED where aur_log_can_compact() is 0: this libmesos does not show its LevelDB. */
void aur_log_compact(aur_log* log, double timeout_s, aur_outcome* outcome);
int aur_log_can_compact(const aur_log* log);

/* About how much of the local disk the entries in [from, to) take. 0 where it cannot be told, which
 * is where aur_log_can_compact() is 0. */
uint64_t aur_log_disk_bytes(aur_log* log, uint64_t from, uint64_t to);

/* A list of entries, owned by whoever got it. */
typedef struct aur_entries aur_entries;
size_t aur_entries_count(const aur_entries* entries);
/* The data stays valid until aur_entries_free. Call with index 0, 1, 2 ... in order. */
void aur_entries_get(aur_entries* entries, size_t index, uint64_t* position, const char** data,
                     size_t* size);
void aur_entries_free(aur_entries* entries);

/* Null unless AUR_OK. */
aur_entries* aur_log_read(aur_log* log, uint64_t from, uint64_t to, double timeout_s,
                          aur_outcome* outcome);

typedef struct aur_stream aur_stream;

typedef struct {
  uint64_t from;
  int32_t from_beginning;
  int32_t has_to;
  uint64_t to;
  uint64_t window_bytes; /* 0: default */
} aur_stream_options;

typedef struct {
  uint64_t entries;
  uint64_t bytes;
  uint64_t next;
  uint64_t ending;
  uint64_t catchups;
  uint64_t buffered_bytes_max;
} aur_stream_progress;

/* Null if there is no memory or thread for it. */
aur_stream* aur_stream_open(aur_log* log, const aur_stream_options* options);
aur_entries* aur_stream_next(aur_stream* stream, double timeout_s, aur_outcome* outcome);
void aur_stream_get_progress(aur_stream* stream, aur_stream_progress* progress);
void aur_stream_cancel(aur_stream* stream);
void aur_stream_free(aur_stream* stream);

/* ---- test double of a replicated log (log/memory_log.h) ----------------------------------- */

/* What all replicas of one log share. Each aur_log opened on it is one replica. */
typedef struct aur_memory_ensemble aur_memory_ensemble;
aur_memory_ensemble* aur_memory_ensemble_new(void);
void aur_memory_ensemble_free(aur_memory_ensemble* ensemble); /* logs on it keep it alive */
aur_log* aur_log_open_memory(aur_memory_ensemble* ensemble);

/* Arms a fault: see log/memory_log.h for the names ("lost-promise", "append-fails-but-is-in-log",
 * "append-fails-and-is-not", "no-quorum", "disk-full", "slow", "competing-writer", "corrupt-entry"). It fires
 * after `countdown` more appends and `times` times (-1: for ever). `amount`: milliseconds for
 * "slow", byte index for "corrupt-entry". Unknown name: AUR_FAILED. */
void aur_log_memory_fault(aur_log* log, const char* name, int32_t countdown, int32_t times,
                          uint64_t amount, aur_outcome* outcome);
void aur_log_memory_clear_faults(aur_log* log);

/* ---- a store: one replica of the database on a log (replication/) -------------------------- */

typedef struct aur_store aur_store;

typedef struct {
  double append_timeout_s;     /* no answer for so long: the leader steps down */
  double heartbeat_s;          /* an idle leader appends so often; 0: never */
  uint64_t entry_limit_bytes;  /* larger batches are cut into parts */
  uint64_t window_bytes;       /* read-ahead of the standby */
  const char* host;            /* who leads, for the other replicas to see */
  const char* software;
  const char* instance;
  const char* schema;          /* the newest revisions that the software knows */
  double snapshot_share;       /* of the log's time, for a snapshot beside transactions; 0: default */
  uint64_t snapshot_chunk_bytes; /* of its entries, compressed; 0: default */
} aur_store_options;

enum {
  AUR_OPENING = 0,
  AUR_STANDBY = 1,
  AUR_ELECTING = 2,
  AUR_LEADING = 3,
  AUR_FAILED_STATE = 4,
  AUR_CLOSED_STATE = 5
};

enum { AUR_LATENCY_BUCKETS = 17 };

/* How often something took so long: counts[i] up to the i-th bound of aur_latency_bounds and longer
 * than the one before; the last one counts the rest. */
typedef struct {
  uint64_t counts[17];
  uint64_t total_us;
} aur_latency;

/* The upper bounds of all buckets but the last, in microseconds. */
void aur_latency_bounds(uint32_t bounds_us[16]);

typedef struct {
  int32_t state;
  uint64_t epoch;              /* of the newest LEADER entry seen */
  uint64_t position;           /* of the last entry applied or made durable */
  uint64_t next;               /* next position to read; everything before it was seen */
  uint64_t log_ending;         /* as last seen */
  uint64_t durable_version;
  uint64_t latest_version;
  uint32_t page_count;
  uint64_t checksum;           /* of the durable version */
  uint64_t entries_applied;
  uint64_t bytes_applied;
  uint64_t appends;
  uint64_t bytes_appended;
  uint64_t transactions;       /* made durable while leading */
  uint64_t heartbeats;
  uint64_t catchups;
  uint64_t rewinds;
  uint64_t versions_taken_back;
  uint64_t reloads;            /* copies dropped because they failed a check */
  uint64_t writers_waiting;
  uint64_t pages_held;
  uint64_t pins;
  uint64_t oldest_pin;         /* version; 0: none */
  int64_t last_entry_age_us;   /* since the last entry was applied or appended; -1: none yet */
  uint64_t leader_position;    /* of the newest LEADER entry */
  aur_latency append_latency;  /* of this leader's entries */
  aur_latency commit_latency;  /* of its commits, from the end of COMMIT to a quorum */
  char leader_host[256];
  char leader_instance[256];
  char leader_software[256];
  char leader_schema[256];
  char reason[2048];           /* of the last step down or failure; "" if none */
  int32_t snapshot_state;      /* AUR_SNAPSHOT_* */
  uint64_t snapshot_position;  /* where the newest complete snapshot begins; 0: none */
  uint64_t snapshot_end;       /* and ends; 0: not read yet */
  uint64_t snapshot_version;
  uint32_t snapshot_pages;
  uint64_t snapshot_time_us;
  uint64_t bytes_since_snapshot; /* entries since it began, or the log; its chunks left out */
  uint64_t writing_position;   /* of the snapshot under way, or being loaded; 0: none */
  uint64_t writing_version;
  uint32_t writing_pages;      /* so many in all */
  uint32_t writing_pages_done;
  uint32_t writing_chunks;
  uint64_t writing_bytes;
  uint64_t started_from;       /* the snapshot that this copy began with; 0: the log's beginning */
  char snapshot_given_up[512]; /* why the last one that came to no end; "" if it did */
} aur_store_status;

enum {
  AUR_SNAPSHOT_NONE = 0,
  AUR_SNAPSHOT_REQUESTED = 1,
  AUR_SNAPSHOT_UNDER_WAY = 2,
  AUR_SNAPSHOT_UNFINISHED = 3,
  AUR_SNAPSHOT_LOADING = 4
};

/* The log must outlive the store. Starts following at once. */
aur_store* aur_store_open(aur_log* log, const aur_store_options* options);
void aur_store_close(aur_store* store); /* idempotent; ends every wait */
void aur_store_free(aur_store* store);

void aur_store_get_status(aur_store* store, aur_store_status* status);

/* Waits until the store has read everything up to the log's end as it was when first asked. The very
 * last position may be undecided while nobody leads: then it is left out, after half a second. */
void aur_store_wait_caught_up(aur_store* store, double timeout_s, aur_outcome* outcome);
/* Waits until `position` was applied. AUR_NO_ANSWER on time-out. */
void aur_store_wait_position(aur_store* store, uint64_t position, double timeout_s,
                             aur_outcome* outcome);
/* Waits until the state differs from `state`, returns the new one (or `state` on time-out). */
int32_t aur_store_wait_state(aur_store* store, int32_t state, double timeout_s);

/* Becomes leader: election, catching up, LEADER entry. outcome.position: that of the LEADER entry.
 * On the way, how long each step took; 0 for a leader, which appends a heartbeat to prove that it is
 * one, and is elected anew if that is refused. */
typedef struct {
  double election_s;
  double catch_up_s;
  double leader_entry_s;
} aur_lead_timing;
void aur_store_lead(aur_store* store, double timeout_s, aur_lead_timing* timing,
                    aur_outcome* outcome);
/* Stops leading once everything published is durable, or timeout_s is over. */
void aur_store_step_down(aur_store* store, double timeout_s, aur_outcome* outcome);

/* Begins a snapshot, unless one is under way; it goes on by itself. outcome.position: of its begin.
 * AUR_NONE: this replica does not lead. */
void aur_store_snapshot(aur_store* store, double timeout_s, aur_outcome* outcome);

/* Forgets the log below `to`. Waits as long as an append may take. AUR_NONE: this replica does not
 * lead; AUR_FAILED: no complete snapshot makes up for it; others end the reign. outcome.position: of
 * the truncation. */
void aur_store_truncate(aur_store* store, uint64_t to, aur_outcome* outcome);

/* What a snapshot is, as its entries in this replica's log say. */
typedef struct {
  uint64_t end;
  uint64_t epoch;
  uint64_t version;
  uint64_t time_us;
  uint64_t checksum;           /* of its begin; that of its pages is equal */
  uint64_t pages;              /* that are there, of ... */
  uint32_t page_count;         /* the size of the database */
  uint32_t chunks;
  uint64_t bytes;              /* of the chunks in the log */
} aur_snapshot_check;

/* Reads the snapshot that begins at `position` back from this replica's log and recomputes its
 * checksum, without keeping its pages. `pages_done`, which may be null, and the check's page_count are
 * set as it goes on.
 * AUR_CORRUPT: it is not what it should be, outcome.position says where; AUR_MISSING: none begins
 * there; AUR_END: it has no end; AUR_NO_ANSWER after timeout_s. */
void aur_store_verify_snapshot(aur_store* store, uint64_t position, double timeout_s,
                               aur_snapshot_check* check, uint32_t* pages_done,
                               aur_outcome* outcome);

/* Recomputes the checksum over every page of the durable version, to hold against the rolling one. */
uint64_t aur_store_recompute_checksum(aur_store* store, uint64_t* rolling);

/* The pages of a store or a replay, for connections and images. Valid as long as its owner. */
typedef struct aur_database aur_database;
aur_database* aur_store_database(aur_store* store);

/* ---- SQLite connections (sqlite/) ---------------------------------------------------------- */

/* The side of a SQLite connection that belongs to the VFS. Open the database as
 * file:aurora?vfs=aurora&connection=ID with ID = aur_connection_id, once, after the VFS was
 * registered by loading this very module as a SQLite extension (sqlite3_extension_init). */
typedef struct aur_connection aur_connection;
aur_connection* aur_connection_new(aur_database* database, int32_t read_only);
void aur_connection_free(aur_connection* connection); /* after the SQLite connection was closed */
uint64_t aur_connection_id(aur_connection* connection);

/* Waits in line for the write lock; BEGIN IMMEDIATE next. It is given back by itself when the
 * transaction ends, or by aur_connection_release if BEGIN failed.
 * AUR_REFUSED_BUSY, _NOT_LEADER, _CLOSED, _STALE_CONNECTION. */
void aur_connection_acquire(aur_connection* connection, double timeout_s, aur_outcome* outcome);
void aur_connection_release(aur_connection* connection);

/* After a COMMIT, or any statement that committed by itself: waits until what this connection last
 * published, or last read in a write transaction, is durable, and says what became of it.
 * outcome.position: a log position that includes it. Nothing to wait for: AUR_OK at once. */
void aur_connection_wait(aur_connection* connection, double timeout_s, aur_outcome* outcome);

/* 1 while aur_connection_wait has something to wait for or to report. */
int aur_connection_unsettled(aur_connection* connection);

/* Why the VFS last refused something on this connection (and forgets it); AUR_OK if it did not.
 * AUR_OK with a reason: a file that cannot be opened through this VFS, for the calling thread. */
void aur_connection_refusal(aur_connection* connection, aur_outcome* outcome);

/* 1 if the connection must be closed and a new one opened: it has seen what was taken back. */
int aur_connection_stale(aur_connection* connection);

/* ---- entries, without a log (records/) ------------------------------------------------------ */

/* What an entry says of itself; docs/log-format.md has the fields and the kinds. */
typedef struct {
  int32_t kind;
  int32_t compressed;
  uint64_t epoch;
  uint64_t first_version;
  uint64_t last_version;
  uint64_t checksum_before;
  uint64_t checksum_after;
  uint64_t time_us;
  uint64_t snapshot;         /* where the newest complete snapshot begins; 0: there is none */
  uint32_t page_count;
  uint32_t part;
  uint32_t transactions;
  uint32_t body_size;        /* before compression */
} aur_record;

/* AUR_NOT_OURS, AUR_TOO_NEW or AUR_CORRUPT with a reason: `record` is left alone. */
void aur_record_header(const char* data, size_t size, aur_record* record, aur_outcome* outcome);

typedef struct {
  char host[256];
  char software[256];
  char instance[256];
  char schema[256];
} aur_leader;

/* Of a leader entry or the begin of a snapshot; AUR_CORRUPT for another kind. */
void aur_record_leader(const char* data, size_t size, aur_leader* leader, aur_outcome* outcome);

typedef struct {
  uint32_t number;
  int32_t change;            /* 0 full, 1 patch, 2 absent */
  uint32_t size;             /* bytes in the entry, before compression */
} aur_page_change;

/* The pages that an entry changes, ascending: writes up to `capacity`, returns how many there are.
 * None in an entry of a kind without pages. */
size_t aur_record_pages(const char* data, size_t size, aur_page_change* pages, size_t capacity,
                        aur_outcome* outcome);

/* Makes an entry one of a log where the newest complete snapshot begins at `snapshot`, in place. */
void aur_record_relocate(char* data, size_t size, uint64_t snapshot, aur_outcome* outcome);

/* ---- a database fed by hand (replication/replay.h) ------------------------------------------ */

typedef struct aur_replay aur_replay;

typedef struct {
  uint64_t position;         /* of the last entry applied */
  uint64_t next;             /* where to go on */
  uint64_t epoch;
  uint64_t version;
  uint32_t page_count;
  uint64_t checksum;
  uint64_t time_us;          /* of the last entry applied */
  uint64_t leader_position;
  aur_leader leader;
} aur_replay_info;

aur_replay* aur_replay_new(void); /* null: no memory */
void aur_replay_free(aur_replay* replay); /* its images and connections go on */

/* Entries in ascending order of position, from the beginning of the log or from the begin of a
 * complete snapshot on. outcome.position: where to go on. That is behind the entry, but for the end
 * of the snapshot: the entries behind its begin are due once more then.
 * AUR_NOT_OURS, AUR_TOO_NEW, AUR_CORRUPT: it does not fit, and nothing has changed. */
void aur_replay_apply(aur_replay* replay, uint64_t position, const char* data, size_t size,
                      aur_outcome* outcome);
void aur_replay_get_info(aur_replay* replay, aur_replay_info* info);

/* For connections that read; readable from the beginning on. */
aur_database* aur_replay_database(aur_replay* replay);

/* ---- a durable version, held (pages/image.h) ------------------------------------------------ */

typedef struct aur_image aur_image;

typedef struct {
  uint64_t position;         /* of the entry that completed this version; 0 with version 0 */
  uint64_t time_us;          /* the leader's clock in it */
  uint64_t epoch;
  uint64_t version;
  uint64_t checksum;
  uint32_t page_count;
} aur_image_info;

/* Holds the durable version of now until it is freed; whoever writes goes on. Null and
 * AUR_REFUSED_NOT_READABLE or _CLOSED. */
aur_image* aur_image_open(aur_database* database, aur_outcome* outcome);
void aur_image_free(aur_image* image);
void aur_image_get_info(aur_image* image, aur_image_info* info);

/* Copies up to `count` pages of 4096 bytes from `first_page` (1, 2 ...) on; returns how many there
 * were before the end. Absent pages are zeros. */
size_t aur_image_read(aur_image* image, uint32_t first_page, size_t count, char* buffer);

/* Whether a page within the image has no content: such pages are zeros, and none of those which the
 * checksum is of. */
int aur_image_is_absent(aur_image* image, uint32_t page);

/* ---- a Mesos cluster for development (dev/) ------------------------------------------------ */

/* Starts a master and `agents` agents in this process, for good: once, after aur_libprocess_start
 * with the delegate "master". Their flags are the MESOS_* variables of the environment; on bad ones
 * libmesos ends the process. AUR_FAILED if the loaded libmesos cannot do it. */
void aur_mesos_launch(const char* work_directory, int32_t agents, aur_outcome* outcome);

/* What the program mesos-containerizer does with these arguments, of which the first is "launch".
 * Replaces the process by the task's, or returns the exit code. After aur_libmesos_load. */
int aur_mesos_containerizer(int32_t argc, const char* const* argv, aur_outcome* outcome);

/* CFFI-END */

#ifdef __cplusplus
}
#endif
#endif
