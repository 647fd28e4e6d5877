# Flags of every target. No -march: CPU-specific code carries its own target attribute and is chosen at run time.
include_guard(GLOBAL)

option(BLINDSUM_WERROR "Treat warnings as errors" OFF)
option(BLINDSUM_ASSERTS "Keep assert() in optimised builds" OFF)
option(BLINDSUM_TIDY "Run clang-tidy while compiling" OFF)
set(BLINDSUM_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
if(BLINDSUM_ASSERTS)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(blindsum_flags INTERFACE)
target_compile_features(blindsum_flags INTERFACE cxx_std_20)
target_include_directories(blindsum_flags INTERFACE ${PROJECT_SOURCE_DIR})
# -ffp-contract=off: the same bits wherever it is compiled.
target_compile_options(blindsum_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -ffp-contract=off -fstack-protector-strong -fno-omit-frame-pointer)
if(BLINDSUM_WERROR)
  target_compile_options(blindsum_flags INTERFACE -Werror)
endif()
if(BLINDSUM_SANITIZE)
  target_compile_options(blindsum_flags INTERFACE -fsanitize=${BLINDSUM_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(blindsum_flags INTERFACE -fsanitize=${BLINDSUM_SANITIZE})
else()
  target_compile_options(blindsum_flags INTERFACE $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  target_link_options(blindsum_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(BLINDSUM_TIDY)
  find_program(BLINDSUM_CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${BLINDSUM_CLANG_TIDY} --quiet)
endif()
