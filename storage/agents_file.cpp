#include "storage/agents_file.hpp"

#include <memory>

#include <yaml.h>

namespace adtrack::storage {
namespace {

constexpr size_t patterns_max = 20'000; // of a list; uap-core's longest has some hundreds

// A loaded YAML document; its nodes refer to one another by index.
class document {
public:
  explicit document(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) return;
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    ok_ = yaml_parser_load(&parser_, &doc_) != 0;
    if (!ok_) {
      why_ = parser_.problem != nullptr ? parser_.problem : "it cannot be read";
      why_ += ", line " + std::to_string(parser_.problem_mark.line + 1);
    }
    yaml_parser_delete(&parser_);
  }
  ~document() {
    if (ok_) yaml_document_delete(&doc_);
  }
  document(const document&) = delete;
  document& operator=(const document&) = delete;

  bool ok() const { return ok_; }
  const std::string& why() const { return why_; }
  yaml_node_t* root() { return yaml_document_get_root_node(&doc_); }
  yaml_node_t* node(int index) { return yaml_document_get_node(&doc_, index); }

private:
  yaml_parser_t parser_{};
  yaml_document_t doc_{};
  bool ok_ = false;
  std::string why_ = "out of memory";
};

bool is_text(const yaml_node_t* node) { return node != nullptr && node->type == YAML_SCALAR_NODE; }

std::string_view text_of(const yaml_node_t* node) {
  return {reinterpret_cast<const char*>(node->data.scalar.value), node->data.scalar.length};
}

status corrupt(const std::string& name, const std::string& why) {
  return {errc::corrupt, name + " is not a file of uap-core's expressions: " + why};
}

// One list: `family_key` names the replacement of what the expression is called.
status read_list(document& doc, const std::string& name, std::string_view list, const yaml_node_t* items,
                 std::string_view family_key, std::vector<agent_pattern>& out) {
  const std::string where(list);
  if (items == nullptr || items->type != YAML_SEQUENCE_NODE) return corrupt(name, where + " is not a list");
  const auto& range = items->data.sequence.items;
  if (range.top - range.start > static_cast<std::ptrdiff_t>(patterns_max)) return corrupt(name, where + " is too long");
  for (auto* item = range.start; item < range.top; ++item) {
    const auto* entry = doc.node(*item);
    const auto at = [&] { return where + ", entry " + std::to_string(item - range.start + 1); };
    if (entry == nullptr || entry->type != YAML_MAPPING_NODE) return corrupt(name, at() + " is not a mapping");
    agent_pattern p;
    for (auto* pair = entry->data.mapping.pairs.start; pair < entry->data.mapping.pairs.top; ++pair) {
      const auto* key = doc.node(pair->key);
      const auto* value = doc.node(pair->value);
      if (!is_text(key) || !is_text(value)) return corrupt(name, at() + " has what is no text");
      if (text_of(key) == "regex") p.regex = text_of(value);
      if (text_of(key) == "regex_flag") p.ignore_case = text_of(value) == "i";
      if (text_of(key) == family_key) p.family = text_of(value);
    }
    if (p.regex.empty()) return corrupt(name, at() + " has no regex");
    out.push_back(std::move(p));
  }
  return {};
}

} // namespace

status parse_uap_core(const std::string& name, std::string_view yaml, agent_patterns& out) {
  struct wanted {
    std::string_view list, family_key;
    std::vector<agent_pattern>& to;
  };
  document doc(yaml);
  if (!doc.ok()) return corrupt(name, doc.why());
  const auto* root = doc.root();
  if (root == nullptr || root->type != YAML_MAPPING_NODE) return corrupt(name, "it is no mapping of lists");
  for (const auto& w :
       {wanted{"user_agent_parsers", "family_replacement", out.browsers}, wanted{"os_parsers", "os_replacement", out.systems},
        wanted{"device_parsers", "device_replacement", out.devices}}) {
    const yaml_node_t* items = nullptr;
    for (auto* pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; ++pair)
      if (const auto* key = doc.node(pair->key); is_text(key) && text_of(key) == w.list) items = doc.node(pair->value);
    w.to.clear();
    if (auto s = read_list(doc, name, w.list, items, w.family_key, w.to); !s.ok()) return s;
  }
  return {};
}

void parse_bot_list(std::string_view text, std::vector<std::string>& out) {
  constexpr std::string_view blanks = " \t\r";
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto from = line.find_first_not_of(blanks);
    if (from == line.npos || line[from] == '#') continue;
    out.emplace_back(line.substr(from, line.find_last_not_of(blanks) - from + 1));
  }
}

} // namespace adtrack::storage
