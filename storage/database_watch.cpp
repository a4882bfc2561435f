#include "storage/database_watch.hpp"

#include <algorithm>

#include <rocksdb/db.h>

namespace adtrack::storage {

std::shared_ptr<void> database_watch::enroll(rocksdb::DB& database) {
  std::lock_guard lock(state_->mutex);
  state_->open.insert(&database);
  return {&database, [from = state_](void* gone) {
            std::lock_guard at_the_end(from->mutex);
            from->open.erase(static_cast<rocksdb::DB*>(gone));
          }};
}

database_levels database_watch::levels() const {
  using properties = rocksdb::DB::Properties;
  database_levels out;
  std::lock_guard lock(state_->mutex);
  for (auto* db : state_->open) {
    // Of all column families together.
    const auto sum = [db](const std::string& property) {
      uint64_t value = 0;
      return db->GetAggregatedIntProperty(property, &value) ? value : 0;
    };
    const auto of_database = [db](const std::string& property) {
      uint64_t value = 0;
      return db->GetIntProperty(property, &value) ? value : 0;
    };
    out.size_bytes += sum(properties::kLiveSstFilesSize);
    out.memtables_bytes += sum(properties::kCurSizeAllMemTables);
    out.table_readers_bytes += sum(properties::kEstimateTableReadersMem);
    out.block_cache_bytes = std::max(out.block_cache_bytes, of_database(properties::kBlockCacheUsage));
    out.pending_compaction_bytes += sum(properties::kEstimatePendingCompactionBytes);
    out.running += of_database(properties::kNumRunningFlushes) + of_database(properties::kNumRunningCompactions);
    out.write_stopped += of_database(properties::kIsWriteStopped);
  }
  return out;
}

} // namespace adtrack::storage
