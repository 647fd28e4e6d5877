// report.html: one page that shows what the records of a run, or of a comparison, say. It holds its
// own style, charts and data, asks nothing of any network, and opens from a file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace blindsum::launcher {

// ReportLimits bound what a page draws, however long the run was: rounds are joined in `columns`
// groups (round 0 is always its own), parties in `rows` groups, evaluations are thinned out to
// `points`, of the table of gains the `gains` parties that gained most are kept, and of the events
// the first `events`. The view says what was joined or left out.
struct ReportLimits {
  std::size_t columns = 200;
  std::size_t rows = 100;
  std::size_t points = 500;
  std::size_t gains = 40;
  std::size_t events = 200;
};

// report_view gathers what the page of `folder` shows. A folder with compare.json is a comparison,
// any other one a run; of a run that failed or still runs, it takes the records that exist. Reads
// rounds.jsonl line by line (records/*.jsonl when the run did not come to write it). Throws
// ConfigError when the folder is missing or its scenario cannot be read, DataError when it holds no
// records or one that cannot be read: "x/rounds.jsonl:7: …".
[[nodiscard]] nlohmann::json report_view(const std::filesystem::path& folder,
                                         const ReportLimits& limits = {});

// render_report fills the page with `view`. Nothing of the view can become markup or script: it
// travels as JSON through embedded_json, the page writes it as text alone, and the page's
// content-security-policy admits only its own two scripts, by their hashes.
[[nodiscard]] std::string render_report(const nlohmann::json& view);

// write_report writes folder/report.html and returns its path. Throws as report_view; Error when it
// cannot be written.
std::filesystem::path write_report(const std::filesystem::path& folder);

// embedded_json writes JSON for the inside of a <script> element: plain ASCII without '<', '>' and
// '&', which JSON.parse reads back as the same value. Invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string embedded_json(const nlohmann::json& json);

// escaped_html writes text for an element or a quoted attribute.
[[nodiscard]] std::string escaped_html(std::string_view text);

}  // namespace blindsum::launcher
