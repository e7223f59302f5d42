/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/clients.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

void dm_clients_accept(struct dm_clients *all, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), i;

	if (fd < 0)
		return;
	for (i = 0; i < all->n && all->c[i].fd >= 0; i++)
		;
	if (i == DM_CLIENTS_MAX) {
		close(fd);
		return;
	}
	all->c[i] = (struct dm_client){fd, DM_NEW};
	if (i == all->n)
		all->n++;
}

struct dm_client *dm_clients_find(struct dm_clients *all, enum dm_role role)
{
	for (int i = 0; i < all->n; i++)
		if (all->c[i].fd >= 0 && all->c[i].role == role)
			return &all->c[i];
	return NULL;
}

void dm_clients_drop(struct dm_client *c)
{
	if (c && c->fd >= 0)
		close(c->fd);
	if (c)
		c->fd = -1;
}
