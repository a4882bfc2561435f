#include "actors/messages.hpp"

namespace adtrack::actors {

std::string to_string(trouble why) {
  switch (why) {
  case trouble::down: return "the shard is being reopened";
  case trouble::busy: return "too much is waiting";
  case trouble::not_durable: return "the log did not take the record";
  case trouble::bad_question: return "asked of the wrong shard";
  case trouble::storage: return "reading the store failed";
  case trouble::not_kept: return "the shard is past that offset";
  }
  return "unknown trouble";
}

} // namespace adtrack::actors
