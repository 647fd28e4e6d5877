// blindsum-coordinator: runs the coordinator of one federation.
#include "coordinator/make.h"
#include "shared/core/error.h"
#include "shared/role/run_role.h"

int main(int argc, char** argv) {
  using namespace blindsum;
  return role::run_role(
      wire::Role::kCoordinator, argc, argv,
      [](const settings::RoleFile& file, ThreadPool& pool, report::RecordWriter& records) {
        return coordinator::make_program(file, pool, records);
      });
}
