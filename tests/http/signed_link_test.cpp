// Signatures of click links and the file of their keys.
#include "http/signed_link.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

#include "tests/config/temporary_file.hpp"

using namespace adtrack;
using namespace adtrack::http;

namespace {

constexpr const char* hex_a = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
constexpr const char* hex_b = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

std::string line(const std::string& id, const std::string& hex) { return id + " " + hex + "\n"; }

std::string fault_of(const std::string& text) {
  link_secrets out;
  std::string error;
  BOOST_TEST(!parse_link_secrets("F", text, out, error));
  return error;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_signed_link)

// Made with: printf 'click\n32\nclick-7\n1753200000\nk1' | openssl dgst -sha256 -hmac 01234567890123456789012345678901
BOOST_AUTO_TEST_CASE(a_signature_is_what_openssl_makes_of_the_same_lines) {
  BOOST_TEST(sign({32, "click-7", 1'753'200'000, "k1"}, "01234567890123456789012345678901") ==
             "51f97ffddeadedb552e3067c7ef6f3bbfb6ffa485179a04640a46fea1a5d7692");
}

BOOST_AUTO_TEST_CASE(each_part_of_a_link_is_signed) {
  temporary_file file(line("k1", hex_a) + line("k2", hex_b));
  link_keys keys(file.path());
  std::string error;
  BOOST_REQUIRE_MESSAGE(keys.file().open(error), error);
  link_secrets secrets;
  BOOST_REQUIRE(parse_link_secrets("F", line("k1", hex_a), secrets, error));
  const click_link link{32, "e1", 2'000, "k1"};
  const auto signature = sign(link, secrets.at("k1"));
  auto verdict = [&](click_link changed) { return keys.verify(changed, signature, 1'000); };
  BOOST_TEST((verdict(link) == link_verdict::good));
  BOOST_TEST((verdict({33, "e1", 2'000, "k1"}) == link_verdict::wrong));
  BOOST_TEST((verdict({32, "e2", 2'000, "k1"}) == link_verdict::wrong));
  BOOST_TEST((verdict({32, "e1", 2'001, "k1"}) == link_verdict::wrong));
  BOOST_TEST((verdict({32, "e1", 2'000, "k2"}) == link_verdict::wrong));
  BOOST_TEST((verdict({32, "e1", 2'000, "k3"}) == link_verdict::unknown_key));
  BOOST_TEST((verdict({32, "e1", 2'000, ""}) == link_verdict::unknown_key));
  for (const auto& bad : {std::string(), signature.substr(1), signature + "0", std::string(64, '0')})
    BOOST_TEST((keys.verify(link, bad, 1'000) == link_verdict::wrong));
}

BOOST_AUTO_TEST_CASE(a_link_is_good_before_its_expiry_only) {
  temporary_file file(line("k1", hex_a));
  link_keys keys(file.path());
  std::string error;
  BOOST_REQUIRE(keys.file().open(error));
  link_secrets secrets;
  BOOST_REQUIRE(parse_link_secrets("F", line("k1", hex_a), secrets, error));
  const click_link link{32, "e1", 2'000, "k1"};
  const auto signature = sign(link, secrets.at("k1"));
  BOOST_TEST((keys.verify(link, signature, 1'999) == link_verdict::good));
  BOOST_TEST((keys.verify(link, signature, 2'000) == link_verdict::expired));
  BOOST_TEST((keys.verify(link, std::string(64, '0'), 2'000) == link_verdict::wrong));
}

BOOST_AUTO_TEST_CASE(a_key_file_is_read_as_a_whole_or_not_at_all) {
  link_secrets out;
  std::string error;
  BOOST_TEST(parse_link_secrets("F", "# keys\n\n  k1 \t" + std::string(hex_a) + " \r\nk-2_ " + hex_b, out, error));
  BOOST_TEST(out.size() == 2u);
  BOOST_TEST(out.at("k1").size() == 32u);
  BOOST_TEST(fault_of("") == "the key file F holds no key");
  BOOST_TEST(fault_of("# none\n") == "the key file F holds no key");
  BOOST_TEST(fault_of(line("k1", hex_a) + line("k1", hex_b)) == "line 2 of the key file F repeats an id");
  const std::string form = " of the key file F is not an id and a secret of 64 to 128 hexadecimal digits";
  for (const auto& bad :
       {std::string("k1"), line("k1", "00"), line("k.1", hex_a), line("", hex_a), line("k1", std::string(hex_a) + "0"),
        line("k1", std::string(63, 'a') + "g"), line("k1", std::string(130, 'a')), line(std::string(65, 'k'), hex_a),
        "k1 " + std::string(hex_a) + " x"})
    BOOST_TEST(fault_of(bad) == "line 1" + form, bad);
}

BOOST_AUTO_TEST_CASE(a_changed_file_is_in_force_and_a_broken_one_is_not) {
  temporary_file file(line("k1", hex_a));
  link_keys keys(file.path());
  std::string error;
  BOOST_REQUIRE(keys.file().open(error));
  link_secrets secrets;
  BOOST_REQUIRE(parse_link_secrets("F", line("k1", hex_a) + line("k2", hex_b), secrets, error));
  const click_link first{1, "e", 10, "k1"}, second{1, "e", 10, "k2"};
  auto good = [&](const click_link& link) {
    return keys.verify(link, sign(link, secrets.at(std::string(link.key_id))), 1) == link_verdict::good;
  };
  file.write("rubbish");
  keys.file().look();
  BOOST_TEST(keys.file().trouble() ==
             "line 1 of the key file " + file.path() +
                 " is not an id and a secret of 64 to 128 hexadecimal digits; the keys before it stay in force");
  BOOST_TEST(good(first));
  file.write(line("k2", hex_b));
  keys.file().look();
  BOOST_TEST(keys.file().trouble() == "");
  BOOST_TEST(!good(first));
  BOOST_TEST(good(second));
}

BOOST_AUTO_TEST_SUITE_END()
