/* What Go cannot do over the library by itself: callbacks, and an image in one call. */
#ifndef TAGTRUST_GO_GLUE_H
#define TAGTRUST_GO_GLUE_H

#include <stdlib.h>
#include <tagtrust.h>

/* An image, or an error. Its strings stand one after another, each with its NUL:
 * repository, tag, digest, pinned reference, role, the tags and the signers. Without
 * pointers, which Go would look for in each call. */
typedef struct {
    uint64_t size;
    int64_t expires;
    size_t tags, signers, length;
    bool fresh;
    uintptr_t error;
    /* From malloc, for strings that `near` has no place for; else 0. */
    uintptr_t far;
    char near[768];
} go_image;

/* Objects as numbers: for a pointer Go 1.19 would need memory. */
tagtrust_status go_client_verify(uintptr_t client, const char *reference, go_image *image);
tagtrust_status go_trusted_set_verify(uintptr_t set, const char *tag, go_image *image);
/* Copies an image, and frees it. */
void go_take_image(tagtrust_image *object, go_image *image);
tagtrust_error *go_image_error(const go_image *image);
const char *go_image_strings(const go_image *image);
void go_image_clear(go_image *image);

/* Whether this thread is in a callback. */
bool go_in_callback(void);
tagtrust_status go_config_set_clock(tagtrust_config *config, uintptr_t handle);
tagtrust_status go_config_set_passphrase(tagtrust_config *config, uintptr_t handle);
tagtrust_status go_config_add_signer(tagtrust_config *config, const char *public_key, uintptr_t handle,
                                     tagtrust_error **error);

tagtrust_status go_set_log(bool on, int max_level, tagtrust_error **error);

void go_wipe_and_free(char *text);

#endif
