/* SPDX-License-Identifier: Apache-2.0 */
/* A tree packed and applied is the same tree: whole, and by what changed. */

#include "files_tool.h"

#define A_SOCKET "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'"

/* A bit of everything. CAP is a file capability, as the kernel keeps it. */
static const char everything[] =
	"mkdir -p d/e/f 'sp ace' empty; chmod 1777 d; chmod 2755 d/e; chmod 0 empty;"
	"chown 1234:4321 d/e/f; echo hello >d/a; echo x >d/e/suid; chmod 6755 d/e/suid;"
	"chown 77:88 d/e/suid; chmod 6755 d/e/suid; : >zero; printf %0300000d 7 >big;"
	"ln -s /no/where link; ln -s d dlink; ln -s \"$(printf %02000d 1)\" llink;"
	"chown -h 5:6 link; touch -h -d '2001-02-03 04:05:06.123456789' link;"
	"mkfifo -m 640 pipe; mknod chr c 300 70000; mknod blk b 7 3; mknod zz c 0 0; chown 9:9 chr;"
	"ln d/a d/e/a2; ln d/a 0first; ln link link2; ln pipe pipe2; ln chr chr2;"
	"setfattr -n user.one -v 1 d/a; setfattr -n trusted.two -v 0x000102ff d;"
	"setfattr -n user.empty d/a; setfattr -n 'user.a=b%c \xc3\xa9' -v x zero;"
	"setfattr -h -n trusted.l -v 9 link; setfattr -n trusted.p -v 9 pipe;"
	"setfattr -n security.capability -v $CAP big;"
	"chown 3000000000:3000000001 zero; chmod 4711 zero;"
	"setfacl -m u:5:rw,g:6:r d/e/suid; setfacl -d -m u:7:rwx d/e; setfacl -m u:8:x d/e;"
	"echo plain >d/e/noacl; setfacl -b d/e/noacl; mkdir d/e/noacldir; setfacl -b d/e/noacldir;"
	"echo n >\"$(printf 'new\\nline')\"; echo b >\"$(printf 'b\\377y\\002te')\"; echo w >.wh.x;"
	"echo l >\"$(printf %0255d 5)\"; echo t >'trail '; echo bs >'back\\slash'; echo u "
	">\xc3\xbc;"
	"truncate -s 8M hole; printf data | dd of=hole bs=1 seek=5000000 conv=notrunc status=none;"
	"printf end | dd of=hole bs=1 seek=8388605 conv=notrunc status=none;"
	"truncate -s 5000000 allhole; printf two >runs; truncate -s 60K runs;"
	"printf runs | dd of=runs bs=1 seek=40000 conv=notrunc status=none; printf start "
	">starthole; truncate -s 1M starthole;"
	"cp --sparse=always hole \"d/$(printf %0100d 6)\"; cp hole \"$(printf 'h\\303')\";"
	"mkdir \"$(printf %0180d 6)\"; cp hole 0*6/; ln 0*6/hole d/e/hole2;"
	"touch -d '1969-12-30 01:02:03.5' old; touch -d '2200-01-01 00:00:00.000000001' future;"
	"touch -d 2020-02-02 d/e/f; touch -d 2020-02-03 d/e; touch -d 2020-02-04 d; chmod 3751 .;"
	"touch -d '2011-01-01 01:01:01.25' .; setfattr -n user.root -v r .; chown 42:43 .";

TEST(a_tree_with_everything_comes_out_the_same)
{
	struct trees t;
	char path[128];
	struct stat st;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, A_SOCKET) == 0);
	CHECK(in_src(&t, everything) == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	CHECK_INT(t.packed.sockets, 1);
	CHECK_INT(t.packed.sent, t.packed.entries - 1);
	CHECK_INT(t.applied.entries, t.packed.sent);
	CHECK(t.packed.bytes < 1000000);
	snprintf(path, sizeof(path), "%s/dst/hole", t.base);
	CHECK(stat(path, &st) == 0 && st.st_blocks < 200);
	snprintf(path, sizeof(path), "%s/dst/allhole", t.base);
	CHECK(stat(path, &st) == 0 && st.st_blocks == 0);
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 1000) == 0);
	CHECK(alike(&t)); /* applied twice */
	trees_close(&t);
}

TEST(other_tools_read_the_archive)
{
	struct trees t;
	char path[128];
	int fd;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, everything) == 0);
	/* bsdtar knows access lists under other names, and cannot set marks of ours. */
	CHECK(in_src(&t, "setfacl -R -P -b .; rm -r d/0* 0*6") == 0);
	CHECK(trees_pack(&t) == 0);
	snprintf(path, sizeof(path), "%s/x.tar", t.base);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(write(fd, t.archive.data, t.archive.len) == (ssize_t)t.archive.len);
	close(fd);
	CHECK(sh("cd %s/dst && bsdtar -xpf ../x.tar --numeric-owner --acls --xattrs", t.base) == 0);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(an_upper_directory_keeps_its_whiteouts)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	t.opts.upper = true;
	t.kind = DM_TREE_UPPER;
	CHECK(in_src(&t, "mkdir o p; mknod gone c 0 0; ln gone p/gone2; echo a >o/a;"
			 "setfattr -n trusted.overlay.opaque -v y o;"
			 "setfattr -n trusted.overlay.origin -v 0x00fb p;"
			 "setfattr -n trusted.overlay.impure -v y p") == 0);
	CHECK(trees_pass(&t) == 0);
	/* Overlayfs links its whiteouts together; in the target each is a file of its own. */
	CHECK(sh("cd %s/src && rm p/gone2 && mknod p/gone2 c 0 0", t.base) == 0);
	CHECK(sh("cd %s && touch -r src/gone dst/gone src/p/gone2 dst/p/gone2 &&"
		 "touch -r src/p dst/p",
		 t.base) == 0);
	CHECK(in_src(&t, "setfattr -x trusted.overlay.origin p;"
			 "setfattr -x trusted.overlay.impure p") == 0);
	CHECK(alike(&t));
	t.kind = DM_TREE_PLAIN;
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 999) < 0);
	CHECK_INT(t.err.code, DM_BAD_STREAM);
	trees_close(&t);
}

TEST(what_overlay_attributes_cannot_be_carried_is_named)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	t.opts.upper = true;
	CHECK(in_src(&t, "mkdir a a/b; setfattr -n trusted.overlay.redirect -v /x a/b") == 0);
	CHECK(trees_pack(&t) < 0);
	CHECK_INT(t.err.code, DM_UNFIT);
	CHECK(strstr(t.err.msg, "a/b") && strstr(t.err.msg, "trusted.overlay.redirect"));
	t.opts.upper = false; /* in a volume it is somebody's data */
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(nothing_changed_nothing_sent)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, everything) == 0);
	settle();
	CHECK(trees_pass(&t) == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.sent, 0);
	CHECK_INT(t.packed.deleted, 0);
	CHECK_INT(t.packed.checked, 0);
	CHECK(t.archive.len < 8192);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(a_file_changed_just_now_is_looked_at_again)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "echo a >a") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.checked, 1);
	CHECK_INT(t.packed.patched, 1); /* its attributes go, its content does not */
	CHECK_INT(t.packed.bytes, 0);
	settle();
	CHECK(trees_pass(&t) == 0); /* is the last time */
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.checked, 0);
	CHECK_INT(t.packed.sent, 0);
	trees_close(&t);
}

/* Change src, pass, compare; then apply the delta once more. */
static void step(struct trees *t, const char *cmd)
{
	CHECK(in_src(t, cmd) == 0);
	CHECK(trees_pass(t) == 0);
	if (!alike(t))
		TEST_BAD("after: %s", cmd);
	CHECK(trees_feed(t, t->archive.data, t->archive.len, 77777) == 0);
	if (!alike(t))
		TEST_BAD("applied twice, after: %s", cmd);
}

TEST(every_kind_of_change_arrives)
{
	static const char *const steps[] = {
		"echo other >d/e/noacl",
		"chmod 600 big",
		"chown 1:2 d/e/f",
		"touch -d 2015-05-05 zero",
		"setfattr -n user.new -v 1 big",
		"setfattr -x user.new big",
		"setfattr -n user.new -v 1 d",
		"setfattr -x user.new d; setfattr -n trusted.n -v 2 .",
		"setfacl -b d/e/suid",
		"setfacl -k d/e; setfacl -d -m u:9:r d",
		"setfacl -b d/e; : >d/noacl",
		"mv big d/big",
		"mv d/big big",
		"mv d/e d/moved",
		"mv d/moved d/e",
		"touch -d 2001-01-01 d d/e .",
		"rm link2; touch -h -d 2001-01-01 link",
		"ln -sfn elsewhere dlink",
		"echo new >d/e/f/deep; touch -d 2002-02-02 d/e/f",
		"rm -r d/e/f/deep",
		"printf more >>d/e/suid",
		"rm pipe; echo f >pipe",
		"rm pipe; mkdir pipe; echo in >pipe/in",
		"rm -r pipe; ln -s d pipe",
		"rm pipe; mkfifo pipe",
		"rm chr; mknod chr c 1 3",
		"rm -r empty; : >empty",
		"rm empty; mkdir -p empty/x/y/z; echo z >empty/x/y/z/z",
		"rm -r empty; mkdir empty",
		"truncate -s 10 hole",
		"truncate -s 12M hole",
		"cp -a d copy",
		"mv d d2; mv copy d",
		"rm -r d; mv d2 d",
		"rm *hole; truncate -s 3M starthole hole allhole",
		"rm zero; echo x >zero; ln zero zero.2",
		"rm zero.2",
		"mkdir mid; mv zero mid",
		"mv mid/zero .; rmdir mid",
		"touch -d '2030-01-01' future",
		"chmod 700 .",
		"chmod 711 zero; setfattr -n security.capability -v $CAP zero; chmod 4711 zero",
		"rm -rf pipe chr empty; mkfifo pipe; mknod chr c 300 70000; mkdir empty"};

	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, everything) == 0);
	CHECK(trees_pass(&t) == 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (i % 4 == 0)
			settle();
		step(&t, steps[i]);
	}
	trees_close(&t);
}

TEST(several_names_stay_one_file)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "mkdir d; echo 1 >d/b; ln d/b a; ln d/b z; echo 2 >two") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	settle();
	step(&t, "ln d/b 0");
	step(&t, "rm a");
	step(&t, "echo changed >>z");
	step(&t, "rm 0 && cp z 0"); /* no longer a name of it, but with its content */
	step(&t, "printf X | dd of=0 conv=notrunc status=none");
	step(&t, "ln -f two 0"); /* moves from one file to the other */
	step(&t, "ln -f z two");
	step(&t, "chmod 600 z");
	step(&t, "rm d/b z");
	step(&t, "ln -s x l1; ln l1 l2");
	step(&t, "rm l1; ln two l1");
	step(&t, "mv two d/three");
	settle();
	CHECK(trees_pass(&t) == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.sent, 0);
	trees_close(&t);
}

TEST(of_a_big_file_only_changed_blocks_go)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "head -c 20M /dev/urandom >f; truncate -s 30M f; printf e >>f") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	settle();
	step(&t, "printf new | dd of=f bs=1 seek=9999999 conv=notrunc status=none");
	CHECK_INT(t.packed.patched, 1);
	CHECK_INT(t.packed.bytes, 65536);
	step(&t, "chmod 4711 f; setfattr -n user.x -v y f");
	CHECK_INT(t.packed.patched, 1);
	CHECK_INT(t.packed.bytes, 0);
	step(&t, "printf more | dd of=f bs=1 seek=25000000 conv=notrunc status=none");
	CHECK_INT(t.packed.bytes, 65536);
	step(&t, "printf tail >>f");
	CHECK_INT(t.packed.bytes, 5);
	step(&t, "truncate -s 100M f");
	CHECK_INT(t.packed.patched, 1);
	CHECK(t.packed.bytes <= 65536);
	step(&t, "fallocate -p -o 1000000 -l 1000000 f");
	CHECK_INT(t.packed.patched, 1);
	step(&t, "truncate -s 1234567 f");
	CHECK_INT(t.packed.patched, 1);
	step(&t, "truncate -s 0 f");
	step(&t, "cp -a f f2; head -c 3M /dev/urandom >f");
	step(&t, "cp -a f g && mv g f"); /* another inode, but the same content */
	CHECK_INT(t.packed.bytes, 0);
	step(&t, "ln f f3");
	trees_close(&t);
}

TEST(whiteouts_and_opaque_folders_come_and_go)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	t.opts.upper = true;
	t.kind = DM_TREE_UPPER;
	CHECK(in_src(&t, "mkdir d o; echo a >d/a; echo b >o/b") == 0);
	CHECK(trees_pass(&t) == 0);
	settle();
	step(&t, "rm d/a; mknod d/a c 0 0");
	step(&t, "rm d/a; echo again >d/a");
	step(&t, "rm -r d; mknod d c 0 0");
	step(&t, "rm d; mkdir d; setfattr -n trusted.overlay.opaque -v y d; echo c >d/c");
	step(&t, "setfattr -n trusted.overlay.opaque -v y o");
	CHECK_INT(t.packed.deleted, 1); /* o: all in it is sent again */
	step(&t, "setfattr -x trusted.overlay.opaque o");
	step(&t, "rm -r o; mkdir o; setfattr -n trusted.overlay.opaque -v y o; echo d >o/d");
	step(&t, "setfattr -n trusted.overlay.opaque -v y .");
	trees_close(&t);
}

TEST(very_long_paths_are_carried_or_named)
{
	struct trees t;
	static const char deeper[] = "n=$(printf %0200d 0); i=0; while [ $i -lt 60 ]; do mkdir $n; "
				     "cd -P ./$n; i=$((i+1));"
				     "done; echo deep >file; ln file file2; ln -s file link";

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, deeper) == 0); /* 12 KB */
	CHECK(trees_pass(&t) == 0);
	CHECK(sh("cd %s/dst; n=$(printf %%0200d 0); while cd -P ./$n 2>/dev/null; do :; done;"
		 "[ \"$(cat file2 link)\" = \"$(printf 'deep\\ndeep')\" ]",
		 t.base) == 0);
	CHECK(sh("cd %s/src; mv 0* gone; rm -rf gone", t.base) == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	CHECK(in_src(&t, deeper) == 0);
	CHECK(sh("cd %s/src; n=$(printf %%0200d 0); while cd -P ./$n 2>/dev/null; do :; done;"
		 "for i in $(seq 40); do mkdir $n; cd -P ./$n; done",
		 t.base) == 0);
	CHECK(trees_pack(&t) < 0);
	CHECK_INT(t.err.code, DM_UNFIT);
	CHECK(strstr(t.err.msg, "path is longer than"));
	trees_close(&t);
}

TEST(a_tree_deeper_than_descriptors_is_removed)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "python3 -c 'import os\nfor i in range(3000): os.mkdir(\"a\"); "
			 "os.chdir(\"a\")\n"
			 "open(\"f\", \"w\")'") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(sh("cd %s/dst && python3 -c 'import os\nfor i in range(3000): os.chdir(\"a\")\n"
		 "open(\"f\")'",
		 t.base) == 0);
	CHECK(in_src(&t, "rm -rf a; : >a") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(attributes_up_to_the_kernels_limit_go_and_more_is_named)
{
	struct trees t;

	if (trees_open(&t, "/dev/shm"))
		SKIP("no /dev/shm");
	CHECK(in_src(&t, "python3 -c 'import os\nos.mkdir(\"f\")\n"
			 "for i in range(7): os.setxattr(\"f\", \"trusted.%d\" % i, b\"\\xff\" * "
			 "65536)'") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	CHECK(in_src(&t, "python3 -c 'import os\n"
			 "os.setxattr(\"f\", \"trusted.8\", b\"\\xff\" * 65536)'") == 0);
	CHECK(trees_pack(&t) < 0);
	CHECK_INT(t.err.code, DM_UNFIT);
	trees_close(&t);
}
