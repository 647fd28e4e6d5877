// blindsum-coordinator ROLE_FILE: runs the coordinator of one federation.
#include <cstdio>

#include "coordinator/make.h"
#include "shared/core/error.h"
#include "shared/role/run_role.h"

int main(int argc, char** argv) {
  using namespace blindsum;
  if (argc != 2) {
    std::fputs("usage: blindsum-coordinator ROLE_FILE   ('blindsum run' writes role files)\n",
               stderr);
    return exit_code(Fault::kUsage);
  }
  return role::run_role(
      wire::Role::kCoordinator, argv[1],
      [](const settings::RoleFile& file, ThreadPool& pool, report::RecordWriter& records) {
        return role::program_of(coordinator::make_coordinator(file, pool, records));
      });
}
