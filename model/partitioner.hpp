// Which shard an ad lives in: the Java Kafka client's default partitioner over the decimal text of the ad id.
#pragma once

#include <cstdint>
#include <string_view>

namespace adtrack {

// MurmurHash2 as in org.apache.kafka.common.utils.Utils.murmur2 (seed 0x9747b28c), result as unsigned 32 bits.
uint32_t murmur2(std::string_view data) noexcept;

// (murmur2(decimal ad_id) & 0x7fffffff) mod shards; shards >= 1.
uint32_t shard_of(uint64_t ad_id, uint32_t shards) noexcept;

} // namespace adtrack
