// blindsum-party: runs one party of a federation.
#include "party/make.h"
#include "shared/role/run_role.h"

int main(int argc, char** argv) {
  using namespace blindsum;
  return role::run_role(
      wire::Role::kParty, argc, argv,
      [](const settings::RoleFile& file, ThreadPool& pool, report::RecordWriter& records) {
        return party::make_program(file, pool, records);
      });
}
