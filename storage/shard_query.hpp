// Answers a question from a frozen state of one shard: a store snapshot, and the rows that were newer than it.
#pragma once

#include <memory>
#include <vector>

#include "storage/shard_engine.hpp"
#include "storage/shard_rows.hpp"

namespace adtrack::storage {

// `newer` wins over the snapshot; it holds every row asked for that differs from it.
std::shared_ptr<const shard_view> make_shard_view(std::shared_ptr<const store_reader> snapshot, std::vector<frozen_row> newer,
                                                  const bucket_horizons& horizons, uint32_t shard, int64_t applied);

} // namespace adtrack::storage
