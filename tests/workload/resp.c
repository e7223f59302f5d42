/* SPDX-License-Identifier: Apache-2.0 */
#include "resp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define ROOM 65536	     /* bytes to receive at once */
#define MOST_BULK (64 << 20) /* bytes of one value */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

/* Copy the index-th of the addresses to out. Returns its length; 0 if there are not so many. */
static size_t pick(const char *addresses, unsigned index, char *out, size_t size)
{
	size_t len;

	while (index--) {
		addresses += strcspn(addresses, ",");
		if (!*addresses)
			return 0;
		addresses++;
	}
	len = strcspn(addresses, ",");
	if (len >= size)
		len = size - 1;
	memcpy(out, addresses, len);
	out[len] = 0;
	return len;
}

static socklen_t parse_path(const char *text, struct sockaddr_un *un, struct dm_err *err)
{
	size_t len = strlen(text);

	if (len >= sizeof(un->sun_path)) {
		dm_fail(err, DM_USAGE, "%s: too long for a socket's path", text);
		return 0;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, text, len + 1);
	return sizeof(*un);
}

static socklen_t parse_address(char *text, union address *a, struct dm_err *err)
{
	char *colon = strrchr(text, ':'), *host = text;
	uint64_t port;
	size_t len;

	memset(a, 0, sizeof(*a));
	if (strchr(text, '/'))
		return parse_path(text, &a->un, err);
	if (!colon)
		goto bad;
	if (dm_num_u64(colon + 1, "port", 1, 65535, &port, err) < 0)
		return 0;
	*colon = 0;
	len = strlen(host);
	if (*host == '[' && host[len - 1] == ']') {
		host[len - 1] = 0;
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host + 1, &a->v6.sin6_addr) == 1)
			return sizeof(a->v6);
		goto bad;
	}
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &a->v4.sin_addr) ==
	    1)
		return sizeof(a->v4);
bad:
	dm_fail(err, DM_USAGE, "%s: not an address (IPV4:PORT, [IPV6]:PORT or /path)", text);
	return 0;
}

int resp_init(struct resp *r, const char *addresses, struct dm_err *err)
{
	char text[256];
	union address a;
	unsigned i;

	*r = (struct resp){.addresses = addresses, .fd = -1};
	for (i = 0; pick(addresses, i, text, sizeof(text)); i++)
		if (!parse_address(text, &a, err))
			return -1;
	return i ? 0 : dm_fail(err, DM_USAGE, "no address of a server");
}

/* Wait until fd is ready for events. Returns whether it is; errno says why not. */
static bool ready(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, timeout_ms);

	if (!n)
		errno = ETIMEDOUT;
	return n > 0;
}

static int dial(const union address *a, socklen_t len, int timeout_ms)
{
	int fd, on = 1, why = 0;
	socklen_t size = sizeof(why);

	fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, &a->any, len) < 0) {
		if (errno != EINPROGRESS || !ready(fd, POLLOUT, timeout_ms))
			goto fail;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0)
			goto fail;
		errno = why;
		if (why)
			goto fail;
	}
	if (a->any.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
fail:
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

int resp_connect(struct resp *r, int timeout_ms, struct dm_err *err)
{
	char text[256], shown[256];
	union address a;
	socklen_t len;

	resp_close(r);
	if (!pick(r->addresses, r->turn, text, sizeof(text))) {
		r->turn = 0;
		pick(r->addresses, 0, text, sizeof(text));
	}
	r->turn++;
	memcpy(shown, text, sizeof(shown));
	len = parse_address(text, &a, err);
	if (!len)
		return -1;
	r->fd = dial(&a, len, timeout_ms);
	return r->fd < 0 ? dm_fail_errno(err, "connect to %s", shown) : 0;
}

void resp_close(struct resp *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	dm_buf_free(&r->in);
	dm_buf_free(&r->out);
	r->taken = 0;
}

static void add(struct resp *r, const void *text, size_t len)
{
	struct dm_err err;

	if (dm_buf_add(&r->out, text, len, &err) < 0) {
		dm_say("%s", err.msg);
		exit(1);
	}
}

static void add_head(struct resp *r, char type, size_t n)
{
	char head[32];

	add(r, head, (size_t)snprintf(head, sizeof(head), "%c%zu\r\n", type, n));
}

void resp_command(struct resp *r, size_t count)
{
	add_head(r, '*', count);
}

void resp_word(struct resp *r, const void *text, size_t len)
{
	add_head(r, '$', len);
	add(r, text, len);
	add(r, "\r\n", 2);
}

static void discard(struct dm_buf *b, size_t n)
{
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
}

static bool passing(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static int send_queued(struct resp *r, struct dm_err *err)
{
	ssize_t n = send(r->fd, r->out.data, r->out.len, MSG_NOSIGNAL);

	if (n > 0)
		discard(&r->out, (size_t)n);
	return n < 0 && !passing() ? dm_fail_errno(err, "send") : 0;
}

static int receive(struct resp *r, struct dm_err *err)
{
	void *room;
	ssize_t n;

	if (r->taken) {
		discard(&r->in, r->taken);
		r->taken = 0;
	}
	room = dm_buf_room(&r->in, ROOM, err);
	if (!room)
		return -1;
	n = recv(r->fd, room, ROOM, 0);
	if (n > 0)
		r->in.len += (size_t)n;
	if (!n)
		return dm_fail(err, DM_FAILURE, "receive: the server closed the connection");
	return n < 0 && !passing() ? dm_fail_errno(err, "receive") : 0;
}

int resp_pump(struct resp *r, int64_t wait_ns, struct dm_err *err)
{
	struct timespec ts = {wait_ns / 1000000000, wait_ns % 1000000000};
	struct pollfd p = {.fd = r->fd, .events = POLLIN};

	if (r->out.len && send_queued(r, err) < 0)
		return -1;
	if (r->out.len)
		p.events |= POLLOUT;
	if (ppoll(&p, 1, &ts, NULL) < 0)
		return passing() ? 0 : dm_fail_errno(err, "poll");
	return p.revents & ~POLLOUT ? receive(r, err) : 0;
}

int resp_take(struct resp *r, struct resp_item *item, struct dm_err *err)
{
	size_t left = r->in.len - r->taken, head;
	const char *at, *end;
	long long n;

	if (!left)
		return 0;
	at = r->in.data + r->taken;
	end = memmem(at, left, "\r\n", 2);
	if (!end)
		return 0;
	head = (size_t)(end - at) + 2;
	*item = (struct resp_item){.type = *at, .text = at + 1, .len = head - 3};
	if (*at == '$' || *at == '*') {
		n = strtoll(at + 1, NULL, 10);
		if (n < -1 || n > MOST_BULK)
			return dm_fail(err, DM_FAILURE, "a reply of %lld bytes", n);
		item->nil = n < 0;
		item->len = n < 0 ? 0 : (size_t)n;
		item->text = at + head;
		if (*at == '$' && n >= 0 && left < head + item->len + 2)
			return 0;
		if (*at == '$' && n >= 0)
			head += item->len + 2;
	} else if (!strchr("+-:", *at)) {
		return dm_fail(err, DM_FAILURE, "the server does not speak RESP");
	}
	r->taken += head;
	return 1;
}
