#include "scenarios/launcher/html_report.h"

#include <map>

#include <nlohmann/json.hpp>
#include <sodium.h>

#include "scenarios/launcher/report_assets.h"
#include "shared/core/bytes.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

// csp_hash names a script in a content-security-policy.
std::string csp_hash(std::string_view script) {
  const Digest digest = sha256(as_bytes(script));
  std::string text(sodium_base64_encoded_len(digest.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), digest.data(), digest.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return "'sha256-" + text + "'";
}

// filled replaces every {{name}} of `page` by its value, which is not looked at again.
std::string filled(std::string_view page, const std::map<std::string_view, std::string>& values) {
  std::string text;
  for (;;) {
    const auto begin = page.find("{{");
    text += page.substr(0, begin);
    if (begin == std::string_view::npos) return text;
    const auto end = page.find("}}", begin);
    text += values.at(page.substr(begin + 2, end - begin - 2));
    page.remove_prefix(end + 2);
  }
}

}  // namespace

std::string embedded_json(const json& value) {
  std::string text;
  for (const char c : value.dump(-1, ' ', true, json::error_handler_t::replace)) {
    switch (c) {
      case '<':
        text += "\\u003c";
        break;
      case '>':
        text += "\\u003e";
        break;
      case '&':
        text += "\\u0026";
        break;
      default:
        text += c;
    }
  }
  return text;
}

std::string escaped_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string render_report(const json& view) {
  return filled(assets::kPage,
                {{"title", escaped_html(view.at("title").get<std::string>())},
                 {"script_hashes", csp_hash(assets::kLibrary) + " " + csp_hash(assets::kScript)},
                 {"style", std::string(assets::kStyle)},
                 {"data", embedded_json(view)},
                 {"library", std::string(assets::kLibrary)},
                 {"script", std::string(assets::kScript)}});
}

std::filesystem::path write_report(const std::filesystem::path& folder) {
  auto path = folder / "report.html";
  write_file_atomic(path, render_report(report_view(folder)));
  return path;
}

}  // namespace blindsum::launcher
