/* SPDX-License-Identifier: Apache-2.0 */
/* dm-runtime(8): the OCI runtime that restores. */

#include "base/err.h"
#include "runtime/runtime.h"

int main(int argc, char **argv)
{
	dm_set_program("dm-runtime");
	return dm_runtime_run(argc, argv);
}
