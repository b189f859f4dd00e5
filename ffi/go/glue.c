#include <string.h>

#include "_cgo_export.h"
#include "glue.h"

const char *go_image_strings(const go_image *image) { return image->far ? (const char *)image->far : image->near; }

tagtrust_error *go_image_error(const go_image *image) { return (tagtrust_error *)image->error; }

void go_image_clear(go_image *image) {
    free((char *)image->far);
    image->far = 0;
}

static void append(go_image *image, size_t *capacity, const char *text) {
    size_t length = strlen(text) + 1;
    if (length > *capacity - image->length) {
        *capacity = 2 * *capacity + length;
        char *larger = malloc(*capacity);
        if (larger == NULL)
            abort();
        memcpy(larger, go_image_strings(image), image->length);
        go_image_clear(image);
        image->far = (uintptr_t)larger;
    }
    memcpy((char *)go_image_strings(image) + image->length, text, length);
    image->length += length;
}

void go_take_image(tagtrust_image *object, go_image *image) {
    size_t capacity = sizeof image->near;
    image->size = tagtrust_image_size(object);
    image->expires = tagtrust_image_expires(object);
    image->fresh = tagtrust_image_fresh(object);
    image->tags = tagtrust_image_tag_count(object);
    image->signers = tagtrust_image_signer_count(object);
    image->far = 0;
    image->length = 0;
    append(image, &capacity, tagtrust_image_repository(object));
    append(image, &capacity, tagtrust_image_tag(object));
    append(image, &capacity, tagtrust_image_digest(object));
    append(image, &capacity, tagtrust_image_pinned_reference(object));
    append(image, &capacity, tagtrust_image_role(object));
    for (size_t i = 0; i < image->tags; i++)
        append(image, &capacity, tagtrust_image_tag_at(object, i));
    for (size_t i = 0; i < image->signers; i++)
        append(image, &capacity, tagtrust_image_signer(object, i));
    tagtrust_image_free(object);
}

/* Without an image it is not OK, whatever was said: what `image` holds is of an earlier call. */
static tagtrust_status take(tagtrust_status status, tagtrust_image *object, tagtrust_error *error, go_image *image) {
    image->error = (uintptr_t)error;
    if (status == TAGTRUST_OK && object == NULL)
        return TAGTRUST_INTERNAL;
    if (object != NULL)
        go_take_image(object, image);
    return status;
}

tagtrust_status go_client_verify(uintptr_t client, const char *reference, go_image *image) {
    tagtrust_image *object;
    tagtrust_error *error;
    tagtrust_status status = tagtrust_client_verify((const tagtrust_client *)client, reference, &object, &error);
    return take(status, object, error, image);
}

tagtrust_status go_trusted_set_verify(uintptr_t set, const char *tag, go_image *image) {
    tagtrust_image *object;
    tagtrust_error *error;
    tagtrust_status status = tagtrust_trusted_set_verify((const tagtrust_trusted_set *)set, tag, &object, &error);
    return take(status, object, error, image);
}

/* Go keeps a goroutine that is in a callback on its thread. */
static __thread int callbacks;

bool go_in_callback(void) { return callbacks > 0; }

static int64_t now(void *data) {
    callbacks++;
    int64_t seconds = tagtrustGoClock((uintptr_t)data);
    callbacks--;
    return seconds;
}

tagtrust_status go_config_set_clock(tagtrust_config *config, uintptr_t handle) {
    return tagtrust_config_set_clock(config, now, (void *)handle);
}

static void log_message(void *data, int level, const char *target, const char *message) {
    (void)data;
    callbacks++;
    tagtrustGoLog(level, (char *)target, (char *)message);
    callbacks--;
}

tagtrust_status go_set_log(bool on, int max_level, tagtrust_error **error) {
    return tagtrust_set_log(on ? log_message : NULL, NULL, max_level, error);
}

#ifndef TAGTRUST_NO_SIGNING

static ptrdiff_t passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                            char *buffer, size_t capacity) {
    callbacks++;
    ptrdiff_t length =
        tagtrustGoPassphrase((uintptr_t)data, (char *)key_id, (char *)role, create, attempt, buffer, capacity);
    callbacks--;
    return length;
}

tagtrust_status go_config_set_passphrase(tagtrust_config *config, uintptr_t handle) {
    return tagtrust_config_set_passphrase(config, passphrase, (void *)handle);
}

static ptrdiff_t sign(void *data, const uint8_t *message, size_t length, uint8_t *signature, size_t capacity) {
    callbacks++;
    ptrdiff_t written = tagtrustGoSign((uintptr_t)data, (uint8_t *)message, length, signature, capacity);
    callbacks--;
    return written;
}

tagtrust_status go_config_add_signer(tagtrust_config *config, const char *public_key, uintptr_t handle,
                                     tagtrust_error **error) {
    return tagtrust_config_add_signer(config, public_key, sign, (void *)handle, error);
}

#endif

void go_wipe_and_free(char *text) {
    explicit_bzero(text, strlen(text));
    free(text);
}
