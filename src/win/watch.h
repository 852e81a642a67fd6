/* SPDX-License-Identifier: Apache-2.0 */
/* Between watch.c, which asks the host for changes of a folder, and notify.c, which tells them. */
#pragma once
#include "win/internal.h"

enum {
	NOTIFY_FILE_NAME = 1,
	NOTIFY_DIR_NAME = 2,
	NOTIFY_ATTRIBUTES = 4,
	NOTIFY_SIZE = 8,
	NOTIFY_LAST_WRITE = 0x10,
	NOTIFY_LAST_ACCESS = 0x20,
	NOTIFY_CREATION = 0x40,
	NOTIFY_SECURITY = 0x100,
	NOTIFY_ALL = 0x17f
};
enum { CHANGE_ADDED = 1, CHANGE_REMOVED, CHANGE_MODIFIED, CHANGE_OLD_NAME, CHANGE_NEW_NAME };

/* One that nobody has been told of yet. */
struct change {
	uint32_t action;
	char *name; /* below the folder, with /; owned */
};
struct place;
/* A folder that is looked at, by an inotify of its own. Under the caller's lock. */
struct folder_watch {
	int fd;     /* owned */
	char *path; /* the host's; owned */
	uint32_t filter;
	bool deep;     /* folders in it, too */
	bool overflow; /* there were more than are kept */
	struct place *places;
	size_t nplaces, cap_places;
	struct change *changes;
	size_t nchanges, cap_changes, told; /* those before @told are gone */
	struct {
		char *name; /* owned; NULL: none */
		uint32_t cookie;
		bool folder;
	} moved; /* away, perhaps to another name here */
};
/* 0 or a negative errno; also then to be ended by folder_watch_fini. */
int folder_watch_init(struct folder_watch *w, const char *path, bool deep, uint32_t filter) MUST;
void folder_watch_fini(struct folder_watch *w);
/* Take what the host has to tell; it does not wait. */
void folder_watch_read(struct folder_watch *w);
/* Drop the first @n changes. */
void changes_drop(struct folder_watch *w, size_t n);
