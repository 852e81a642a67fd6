/* SPDX-License-Identifier: Apache-2.0 */
/* chr: a stream of bytes between a device (console, UART, agent port) and the host side.
 * One ring each way, so neither side ever blocks. All functions from any thread; callbacks run
 * on the caller's thread with no chr lock held. */
#pragma once
#include "base/base.h"

struct chr;
int chr_new(struct chr **ret, size_t ring_bytes, struct lodge_err *e) MUST;
void chr_free(struct chr *c);
/* device -> host. Returns bytes taken (fewer when the host is slow; rest is dropped by a UART,
 * kept by virtio-console). Any thread. */
size_t chr_write(struct chr *c, const void *buf, size_t len);
/* host -> device: bytes waiting for the device. Any thread. */
size_t chr_read(struct chr *c, void *buf, size_t cap);
/* The host side of the same: */
size_t chr_host_write(struct chr *c, const void *buf, size_t len);
size_t chr_host_read(struct chr *c, void *buf, size_t cap);
/* Called (any thread, no chr lock held) when bytes arrive for that side, or room appears. */
void chr_on_device(struct chr *c, void (*fn)(void *), void *arg);
void chr_on_host(struct chr *c, void (*fn)(void *), void *arg);
/* See every byte that the device writes, before the host side does (to watch for a panic, say).
 * @fn runs on the device's thread; set it before the device runs. NULL: none. */
void chr_tap(struct chr *c, void (*fn)(void *arg, const uint8_t *p, size_t n), void *arg);
