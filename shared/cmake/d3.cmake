# blindsum_d3 is the list of the D3 files that report.html holds, in the order in which they load. They are read from the
# Debian packages when Blindsum is built; the built programs need none of them.
include_guard(GLOBAL)

set(blindsum_d3)
foreach(module array color interpolate format collection time time-format scale path shape axis selection)
  find_file(BLINDSUM_D3_${module} d3-${module}.min.js
    PATHS /usr/share/nodejs/d3-${module}/dist /usr/share/javascript/d3-${module} NO_DEFAULT_PATH)
  if(NOT BLINDSUM_D3_${module})
    message(FATAL_ERROR "d3-${module}.min.js not found: install node-d3-axis node-d3-scale node-d3-selection node-d3-shape, "
      "or run tests/run, which does")
  endif()
  mark_as_advanced(BLINDSUM_D3_${module})
  list(APPEND blindsum_d3 ${BLINDSUM_D3_${module}})
endforeach()
