/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto, libcurl and libarchive: loaded when they are first wanted, for most commands need
 * none of them. */
#include "image/internal.h"

__asm__(HOST_LIBRARY(image_crypto)
#include "image/crypto.def"
	    HOST_LIBRARY_END);
__asm__(HOST_LIBRARY(image_curl)
#include "image/curl.def"
	    HOST_LIBRARY_END);
__asm__(HOST_LIBRARY(image_archive)
#include "image/archive.def"
	    HOST_LIBRARY_END);
extern void *image_crypto_at[], *image_curl_at[], *image_archive_at[];
extern const char image_crypto_names[], image_curl_names[], image_archive_names[];

const struct host_library image_crypto = {
    .file = "libcrypto.so.3",
    .package = "libssl3",
    .at = image_crypto_at,
    .names = image_crypto_names,
};
const struct host_library image_curl = {
    .file = "libcurl.so.4",
    .package = "libcurl4",
    .at = image_curl_at,
    .names = image_curl_names,
};
const struct host_library image_archive = {
    .file = "libarchive.so.13",
    .package = "libarchive13",
    .at = image_archive_at,
    .names = image_archive_names,
};
