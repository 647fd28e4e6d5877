// blindsum-party ROLE_FILE: runs one party of a federation.
#include <cstdio>

#include "party/make.h"
#include "shared/role/run_role.h"

int main(int argc, char** argv) {
  using namespace blindsum;
  if (argc != 2) {
    std::fputs("usage: blindsum-party ROLE_FILE   ('blindsum run' writes role files)\n", stderr);
    return exit_code(Fault::kUsage);
  }
  return role::run_role(
      wire::Role::kParty, argv[1],
      [](const settings::RoleFile& file, ThreadPool& pool, report::RecordWriter& records) {
        return role::program_of(party::make_party(file, pool, records));
      });
}
