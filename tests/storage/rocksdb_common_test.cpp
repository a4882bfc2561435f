#include "storage/rocksdb_common.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>

#include <rocksdb/env.h>

#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

struct disk final : rocksdb::EnvWrapper {
  disk() : EnvWrapper(rocksdb::Env::Default()) {}
  rocksdb::Status GetFreeSpace(const std::string&, uint64_t* bytes) override {
    *bytes = free;
    return tells ? rocksdb::Status::OK() : rocksdb::Status::NotSupported("free space");
  }
  const char* Name() const override { return "disk"; }
  uint64_t free = 0;
  bool tells = true;
};

} // namespace

BOOST_AUTO_TEST_SUITE(rocksdb_common)

BOOST_AUTO_TEST_CASE(a_database_is_opened_only_when_what_its_logs_hold_fits_the_disk) {
  constexpr uint64_t mib = 1 << 20;
  test::scratch_dir scratch;
  disk env;
  std::ofstream(scratch.path() + "/000004.log") << std::string(2 * mib, 'w');
  std::ofstream(scratch.path() + "/000005.log") << std::string(mib, 'w');
  std::ofstream(scratch.path() + "/000006.sst") << std::string(9 * mib, 't');
  env.free = 3 * mib;
  auto full = check_room(scratch.path(), &env);
  BOOST_TEST((full.code == errc::io));
  BOOST_TEST(full.message == "opening " + scratch.path() + " needs 3 MiB and the disk has 3 MiB; make room on the disk");
  env.free = 4 * mib;
  BOOST_TEST(check_room(scratch.path(), &env).ok());
  env.free = 0;
  env.tells = false;
  BOOST_TEST(check_room(scratch.path(), &env).ok());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
