// A file with given contents that goes away with its object.
#pragma once

#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

class temporary_file {
public:
  explicit temporary_file(const std::string& contents) : path_("/tmp/adtrack_test_XXXXXX") {
    const int fd = mkstemp(path_.data());
    BOOST_REQUIRE(fd >= 0);
    close(fd);
    write(contents);
  }
  ~temporary_file() { unlink(path_.c_str()); }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  void write(const std::string& contents) { std::ofstream(path_, std::ios::binary) << contents; }
  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};
