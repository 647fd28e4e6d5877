# The packages Blindsum builds on, all from Debian, each behind one target. NTL, GMP, ZeroMQ and libsodium ship no usable
# CMake package there, so they are looked up by header and library.
include_guard(GLOBAL)

function(blindsum_find_plain target header library package)
  find_path(${target}_INCLUDE ${header})
  find_library(${target}_LIBRARY ${library})
  if(NOT ${target}_INCLUDE OR NOT ${target}_LIBRARY)
    message(FATAL_ERROR "${header} or lib${library} not found: install ${package}, or run tests/run, which does")
  endif()
  mark_as_advanced(${target}_INCLUDE ${target}_LIBRARY)
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
  target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
endfunction()

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(spdlog REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CURL REQUIRED)

blindsum_find_plain(blindsum_gmp gmp.h gmp libgmp-dev)
blindsum_find_plain(blindsum_ntl NTL/ZZ.h ntl libntl-dev)
target_link_libraries(blindsum_ntl INTERFACE blindsum_gmp Threads::Threads)
blindsum_find_plain(blindsum_sodium sodium.h sodium libsodium-dev)
blindsum_find_plain(blindsum_xxhash xxhash.h xxhash libxxhash-dev)
blindsum_find_plain(blindsum_zmq zmq.hpp zmq "libzmq3-dev cppzmq-dev")

find_path(BLINDSUM_MSGPACK_INCLUDE msgpack.hpp)
if(NOT BLINDSUM_MSGPACK_INCLUDE)
  message(FATAL_ERROR "msgpack.hpp not found: install libmsgpack-cxx-dev, or run tests/run, which does")
endif()
mark_as_advanced(BLINDSUM_MSGPACK_INCLUDE)
add_library(blindsum_msgpack INTERFACE)
target_include_directories(blindsum_msgpack SYSTEM INTERFACE ${BLINDSUM_MSGPACK_INCLUDE})
target_compile_definitions(blindsum_msgpack INTERFACE MSGPACK_NO_BOOST)

add_library(blindsum_yaml INTERFACE)
target_link_libraries(blindsum_yaml INTERFACE yaml-cpp)

# Eigen: no threads of its own (its results must not depend on how many there are).
add_library(blindsum_eigen INTERFACE)
target_link_libraries(blindsum_eigen INTERFACE Eigen3::Eigen)
target_compile_definitions(blindsum_eigen INTERFACE EIGEN_DONT_PARALLELIZE)
