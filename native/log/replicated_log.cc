#include "log/replicated_log.h"

namespace aurora {

const char* to_string(Status status) {
  switch (status) {
    case Status::ok: return "ok";
    case Status::none: return "none";
    case Status::failed: return "failed";
    case Status::no_answer: return "no answer";
    case Status::closed: return "closed";
    case Status::truncated: return "truncated";
    case Status::missing: return "missing";
    case Status::pending: return "pending";
    case Status::end: return "end";
    case Status::corrupt: return "corrupt";
    case Status::too_new: return "too new";
  }
  return "unknown";
}

}  // namespace aurora
