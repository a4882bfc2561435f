// The instrument itself: tests of durability say something only if it forgets what a disk would forget.
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::test {
namespace {

struct fixture {
  std::string path(const std::string& name) const { return scratch.path() + "/" + name; }
  std::unique_ptr<rocksdb::WritableFile> create(const std::string& name) {
    std::unique_ptr<rocksdb::WritableFile> file;
    BOOST_REQUIRE(env.NewWritableFile(path(name), &file, {}).ok());
    return file;
  }
  void create_synced(const std::string& name, const std::string& text) {
    auto file = create(name);
    BOOST_REQUIRE(file->Append(text).ok() && file->Sync().ok() && file->Close().ok());
    sync_directory();
  }
  void sync_directory() {
    std::unique_ptr<rocksdb::Directory> directory;
    BOOST_REQUIRE(env.NewDirectory(scratch.path(), &directory).ok() && directory->Fsync().ok());
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return file ? std::string(std::istreambuf_iterator<char>(file), {}) : "gone";
  }
  void lose_power() {
    env.power_loss();
    env.restore(faulty_env::unsynced::dropped);
  }
  scratch_dir scratch;
  faulty_env env{scratch.path() + "/stash"};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(a_power_loss, fixture)

BOOST_AUTO_TEST_CASE(takes_unsynced_bytes_and_leaves_synced_ones) {
  create_synced("a", "");
  auto file = create("a");
  sync_directory();
  BOOST_REQUIRE(file->Append("kept").ok() && file->Sync().ok() && file->Append("lost").ok());
  BOOST_TEST(read("a") == "keptlost");
  lose_power();
  BOOST_TEST(read("a") == "kept");
  BOOST_TEST(!file->Append("of an earlier life").ok());
}

BOOST_AUTO_TEST_CASE(takes_back_directory_changes_that_were_not_synced) {
  create_synced("removed", "1");
  create_synced("replaced", "2");
  create_synced("renamed", "3");
  create_synced("old", "4");
  create_synced("rewritten", "5");
  BOOST_REQUIRE(env.DeleteFile(path("removed")).ok());
  BOOST_REQUIRE(env.RenameFile(path("old"), path("replaced")).ok());
  BOOST_REQUIRE(env.RenameFile(path("renamed"), path("new name")).ok());
  BOOST_REQUIRE(create("rewritten")->Append("6").ok());
  auto file = create("created");
  BOOST_REQUIRE(file->Append("7").ok() && file->Sync().ok()); // its bytes, but not its name
  BOOST_REQUIRE(env.CreateDir(path("directory")).ok());
  lose_power();
  const std::pair<const char*, const char*> expected[] = {{"removed", "1"},     {"replaced", "2"}, {"renamed", "3"},
                                                          {"new name", "gone"}, {"old", "4"},      {"rewritten", "5"},
                                                          {"created", "gone"}};
  for (const auto& [name, text] : expected) BOOST_TEST(read(name) == text, name);
  BOOST_TEST(!std::filesystem::exists(path("directory")));
}

BOOST_AUTO_TEST_CASE(leaves_directory_changes_that_were_synced) {
  create_synced("removed", "1");
  create_synced("old", "2");
  BOOST_REQUIRE(env.DeleteFile(path("removed")).ok());
  BOOST_REQUIRE(env.RenameFile(path("old"), path("new")).ok());
  sync_directory();
  lose_power();
  BOOST_TEST(read("removed") == "gone");
  BOOST_TEST(read("old") == "gone");
  BOOST_TEST(read("new") == "2");
}

BOOST_AUTO_TEST_CASE(takes_bytes_whose_sync_failed_although_a_later_sync_succeeded) {
  create_synced("a", "");
  auto file = create("a");
  sync_directory();
  BOOST_REQUIRE(file->Append("kept").ok() && file->Sync().ok() && file->Append("lost").ok());
  env.fail_syncs(true);
  BOOST_TEST(!file->Sync().ok());
  env.fail_syncs(false);
  BOOST_TEST(file->Sync().ok());
  lose_power();
  BOOST_TEST(read("a") == "kept");
}

BOOST_AUTO_TEST_CASE(happens_at_the_named_io_or_from_the_hook_and_stops_everything) {
  create_synced("a", "1");
  auto file = create("b");
  env.power_loss_at(2);
  BOOST_TEST(file->Append("1").ok());
  BOOST_TEST(!file->Append("2").ok());
  BOOST_TEST(!env.powered());
  std::unique_ptr<rocksdb::SequentialFile> reader;
  BOOST_TEST(!env.NewSequentialFile(path("a"), &reader, {}).ok());
  BOOST_TEST(!env.DeleteFile(path("a")).ok());
  env.restore();
  env.on_io([this](const faulty_env::io& io) {
    if (io.kind == faulty_env::io_kind::sync && io.path == path("c")) env.power_loss();
  });
  file = create("c");
  BOOST_TEST(file->Append("1").ok());
  BOOST_TEST(!file->Sync().ok());
  BOOST_TEST(!env.powered());
}

BOOST_AUTO_TEST_CASE(releases_locks) {
  rocksdb::FileLock* first = nullptr;
  rocksdb::FileLock* second = nullptr;
  BOOST_REQUIRE(env.LockFile(path("LOCK"), &first).ok());
  BOOST_TEST(!env.LockFile(path("LOCK"), &second).ok());
  lose_power();
  BOOST_REQUIRE(env.LockFile(path("LOCK"), &second).ok());
  BOOST_TEST(env.UnlockFile(first).ok()); // of an earlier life: it does not open the second one
  BOOST_TEST(!env.LockFile(path("LOCK"), &first).ok());
  BOOST_TEST(env.UnlockFile(second).ok());
}

BOOST_AUTO_TEST_CASE(is_not_the_only_fault_writes_fail_halfway_and_disks_fill) {
  auto file = create("a");
  env.fail_writes(true);
  BOOST_TEST(file->Append("12").IsIOError());
  env.fail_writes(false);
  env.fill_disk(true);
  BOOST_TEST(file->Append("34").IsNoSpace());
  std::unique_ptr<rocksdb::WritableFile> other;
  BOOST_TEST(env.NewWritableFile(path("b"), &other, {}).IsNoSpace());
  env.fill_disk(false);
  BOOST_TEST(file->Append("5").ok());
  BOOST_TEST(read("a") == "135");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::test
