// Package loop makes calls over and over in C, for benchmarks to compare with.
package loop

/*
#cgo !tagtrust_static pkg-config: tagtrust
#cgo tagtrust_static LDFLAGS: -l:libtagtrust.a -lutil -lrt -lpthread -lm -ldl
#include <stdlib.h>
#include <tagtrust.h>

static size_t read;

// What a C program reads of an image: all of it.
static void use(tagtrust_image *image) {
    read += (size_t)tagtrust_image_repository(image)[0] + (size_t)tagtrust_image_tag(image)[0] +
            (size_t)tagtrust_image_digest(image)[0] + (size_t)tagtrust_image_pinned_reference(image)[0] +
            (size_t)tagtrust_image_role(image)[0] + tagtrust_image_size(image) +
            (size_t)tagtrust_image_expires(image) + tagtrust_image_fresh(image);
    for (size_t i = 0; i < tagtrust_image_tag_count(image); i++)
        read += (size_t)tagtrust_image_tag_at(image, i)[0];
    for (size_t i = 0; i < tagtrust_image_signer_count(image); i++)
        read += (size_t)tagtrust_image_signer(image, i)[0];
    tagtrust_image_free(image);
}

static tagtrust_client *make(const char *server, const char *trust_dir) {
    tagtrust_client *client;
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_config_set_server(config, server);
    tagtrust_config_set_trust_dir(config, trust_dir);
    tagtrust_config_set_offline_max_age_ms(config, 3600 * 1000);
    tagtrust_client_new(config, &client, NULL);
    tagtrust_config_free(config);
    return client;
}

static tagtrust_status verify(const tagtrust_client *client, const char *reference, long count) {
    tagtrust_image *image;
    tagtrust_status status = TAGTRUST_OK;
    for (; count > 0 && status == TAGTRUST_OK; count--) {
        status = tagtrust_client_verify(client, reference, &image, NULL);
        if (status == TAGTRUST_OK)
            use(image);
    }
    return status;
}

static void version(long count) {
    for (; count > 0; count--)
        read += (size_t)tagtrust_version()[0];
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Client is one of C's, which makes no request once it has verified.
type Client struct {
	client *C.tagtrust_client
}

// NewClient makes a client. It is nobody's to free.
func NewClient(server, trustDir string) Client {
	url, directory := C.CString(server), C.CString(trustDir)
	defer C.free(unsafe.Pointer(url))
	defer C.free(unsafe.Pointer(directory))
	return Client{C.make(url, directory)}
}

// Verify verifies a reference so many times.
func (c Client) Verify(reference string, count int) error {
	text := C.CString(reference)
	defer C.free(unsafe.Pointer(text))
	if status := C.verify(c.client, text, C.long(count)); status != C.TAGTRUST_OK {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// Version makes as many calls that do next to nothing.
func Version(count int) {
	C.version(C.long(count))
}
