// The parts of report.html that do not depend on a run; made from report/ when Blindsum is built.
#pragma once

#include <string_view>

namespace blindsum::launcher::assets {

extern const std::string_view kPage;     // report/page.html, with {{…}} where content goes
extern const std::string_view kStyle;    // report/style.css
extern const std::string_view kScript;   // report/charts.js and report/page.js
extern const std::string_view kLibrary;  // modules of D3, from their Debian packages

}  // namespace blindsum::launcher::assets
