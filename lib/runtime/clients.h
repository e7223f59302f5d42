/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_CLIENTS_H
#define DM_RUNTIME_CLIENTS_H

/* Those who are connected to the supervisor; talk.h tells who they are. */

enum { DM_CLIENTS_MAX = 16 };

enum dm_role { DM_NEW, DM_CREATE, DM_HOOK, DM_START, DM_DECIDE, DM_ABORT };

struct dm_client {
	int fd; /* -1: a free place */
	enum dm_role role;
};

struct dm_clients {
	struct dm_client c[DM_CLIENTS_MAX];
	int n; /* places in use so far */
};

/*
 * Take the next connection from listener; one too many is closed.
 */
void dm_clients_accept(struct dm_clients *all, int listener);

/*
 * The first one in that role, or NULL.
 */
struct dm_client *dm_clients_find(struct dm_clients *all, enum dm_role role);

/*
 * Close the connection. NULL is fine.
 */
void dm_clients_drop(struct dm_client *c);

#endif
