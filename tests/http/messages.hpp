// The table of HTTP/1 messages of messages.txt, which says how it is written.
#pragma once

#include <cctype>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack::tests {

struct message {
  std::string name;
  std::string bytes;
  std::vector<std::string> want; // "202", "202/", "!400", "?408", "100"
  std::string why;

  bool unfinished() const { return want.back()[0] == '?'; }
  bool goes_on() const { return want.back()[0] != '?' && want.back()[0] != '!' && want.back().back() != '/'; }
};

namespace detail {

inline const std::map<std::string, std::string, std::less<>>& words() {
  static const std::string post = "POST /api/v1/ads/click HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
  static const std::map<std::string, std::string, std::less<>> all = {
      {"get", "GET /healthz HTTP/1.1\r\nHost: h\r\n"},
      {"post", post},
      {"chunked", post + "Transfer-Encoding: chunked\r\n\r\n"},
      {"event", R"({"event_id":"e","ad_id":1})"},
  };
  return all;
}

// Takes text up to a '>' that closes nothing within it, or to its end.
inline std::string spelled_out(std::string_view& text) {
  static constexpr std::string_view letters = "rnt0\\", meant("\r\n\t\0\\", 5);
  std::string out;
  while (!text.empty() && text[0] != '>') {
    char c = text[0];
    text.remove_prefix(1);
    if (c == '\\' && text.at(0) == 'x') {
      out += static_cast<char>(std::stoi(std::string(text.substr(1, 2)), nullptr, 16));
      text.remove_prefix(3);
    } else if (c == '\\') {
      out += meant.at(letters.find(text.at(0)));
      text.remove_prefix(1);
    } else if (c == '<' && std::isdigit(static_cast<unsigned char>(text.at(0)))) {
      auto times = std::stoul(std::string(text));
      text.remove_prefix(text.find(" * ") + 3);
      auto part = spelled_out(text);
      text.remove_prefix(1);
      for (unsigned long i = 0; i < times; ++i) out += part;
    } else if (c == '<') {
      auto end = text.find('>');
      out += words().find(text.substr(0, end))->second;
      text.remove_prefix(end + 1);
    } else {
      out += c;
    }
  }
  return out;
}

inline std::vector<message> read_messages() {
  std::ifstream file(ADTRACK_SOURCE_DIR "/tests/http/messages.txt");
  std::vector<message> all;
  for (std::string line; std::getline(file, line);) {
    if (line.size() < 3 || line[0] == '#') continue;
    std::string_view text = std::string_view(line).substr(2);
    if (line[0] == '-') {
      all.emplace_back().name = text;
    } else if (line[0] == '>') {
      all.back().bytes += spelled_out(text);
      if (!text.empty()) throw std::runtime_error("messages.txt: a > that closes nothing: " + line);
    } else {
      auto gap = text.find("  ");
      std::istringstream statuses{std::string(text.substr(0, gap))};
      for (std::string status; statuses >> status;) all.back().want.push_back(status);
      all.back().why = text.substr(text.find_first_not_of(' ', gap));
    }
  }
  return all;
}

} // namespace detail

inline const std::vector<message>& messages() {
  static const auto all = detail::read_messages();
  return all;
}

// The good request that stands behind every one of them.
inline std::string message_behind() {
  return detail::words().at("post") + "Content-Length: 26\r\n\r\n" + detail::words().at("event");
}

} // namespace adtrack::tests
