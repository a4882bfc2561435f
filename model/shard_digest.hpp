// What a shard's state is at one offset: two that applied the same log to the same offset have equal digests. Plain values.
#pragma once

#include <cstdint>
#include <string>

namespace adtrack {

struct digest_question {
  uint32_t shard = 0;
  int64_t offset = -1; // all records below it are applied; -1: where the shard stands
  uint32_t timeout_ms = 5'000;
};

struct shard_digest {
  uint32_t shard = 0;
  int64_t offset = 0;
  std::string value; // 32 hex digits
};

} // namespace adtrack
