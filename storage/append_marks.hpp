// From which offset of a partition on nothing could be read before which moment: how old a record is at most, before it was read. Of
// logs that others hold. Not thread-safe; keeps the newest 1,024, at least 10 ms apart.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace adtrack::storage {

class append_marks {
public:
  // No record at or past `offset` could be read before `time_ms` (Unix ms): it stands there with that time, or the log ended there
  // then. What is below what is known already, or no later, says nothing new. A clock that went back by more than a second begins
  // anew: its time says nothing of what came before.
  void add(int64_t offset, int64_t time_ms);
  void clear() { marks_.clear(); }

  // Unix ms; nothing when no mark reaches back to `offset`.
  std::optional<int64_t> appended_ms(int64_t offset) const;

private:
  struct mark {
    int64_t offset = 0, time_ms = 0;
  };
  std::deque<mark> marks_; // both grow
};

} // namespace adtrack::storage
