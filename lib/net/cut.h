/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_NET_CUT_H
#define DM_NET_CUT_H

/*
 * The link cut: while it is in a network namespace, no packet of the kernel's IP, IPv6 or ARP
 * enters or leaves, and none passes through loopback. It is two nftables tables named
 * docker_migrate, put in and taken out by the program nft.
 *
 * One kind of packet passes, on loopback alone: those with the mark that CRIU gives to the packets
 * by which it rebuilds half-closed TCP connections (it sends the peer's FIN to itself).
 *
 * Frames that a program with a raw packet socket sends do not go through these tables.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Whether nft is there. Returns 0; -1 with err (DM_UNFIT), which names the package.
 */
int dm_cut_fit(struct dm_err *err);

/*
 * Open the network namespace of the process pid. Returns a descriptor, to be closed by the caller;
 * -1 with err.
 */
int dm_cut_netns(pid_t pid, struct dm_err *err);

/*
 * Whether netns is the caller's own network namespace (a container with the host's network).
 */
bool dm_cut_own(int netns);

/*
 * Put the cut into netns; in one step, and no harm if it is there. The caller's own namespace is
 * refused (DM_UNFIT). Returns 0; -1 with err.
 */
int dm_cut_install(int netns, struct dm_err *err);

/*
 * Take the cut out of netns; no harm if there is none. Returns 0; -1 with err.
 */
int dm_cut_remove(int netns, struct dm_err *err);

/*
 * Opening without delay, for the moment that counts: dm_cut_ready() starts nft in netns, where it
 * waits for its rules; dm_cut_open() gives it rules that let everything pass, and waits for its
 * end (a few milliseconds); dm_cut_remove() then tidies up at leisure. dm_cut_unready() ends an nft
 * that is not needed.
 */
struct dm_cut_opener {
	pid_t pid; /* 0: none */
	int rules; /* a pipe to its stdin */
};

/*
 * Returns 0 with *o; -1 with err.
 */
int dm_cut_ready(int netns, struct dm_cut_opener *o, struct dm_err *err);

/*
 * Let everything pass. Returns 0; -1 with err: it may still be cut, use dm_cut_remove(). o is
 * finished either way.
 */
int dm_cut_open(struct dm_cut_opener *o, struct dm_err *err);

/*
 * Finish o without opening. Harmless when all of it is zero.
 */
void dm_cut_unready(struct dm_cut_opener *o);

#endif
