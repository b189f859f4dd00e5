/* What both test programs use. They are C99 and C++ at once. */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tagtrust.h>
#include <tagtrust.h> /* twice on purpose */

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
#define THREADS 8
#define NOT_UTF8 "\xc3\x28"

/* Where an output points before a call: nobody may look at it or free it. */
#define GARBAGE(type) ((type *)(void *)1)

static inline void check(bool holds, const char *condition, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
        abort();
    }
}

static inline bool is_text(const char *text, const char *expected) {
    return text && strcmp(text, expected) == 0;
}

/* Checks the status of an error and its name, and frees it. */
static inline void check_error(tagtrust_error *error, tagtrust_status expected) {
    CHECK(error != NULL);
    if (tagtrust_error_status(error) != expected)
        fprintf(stderr, "not %s: %s\n", tagtrust_status_name(expected), tagtrust_error_message(error));
    CHECK(tagtrust_error_status(error) == expected);
    CHECK(is_text(tagtrust_error_name(error), tagtrust_status_name(expected)));
    CHECK(strlen(tagtrust_error_message(error)) > 0);
    CHECK(tagtrust_error_is_refusal(error) == (expected >= 10 && expected < 30));
    tagtrust_error_free(error);
}

/* A call with `out` and `error` as its outputs that must fail: with no object
 * and the error, and the same if nobody wants the error. */
#define FAILS(type, expected, function, ...)                                                                           \
    do {                                                                                                               \
        type *out = GARBAGE(type);                                                                                     \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        CHECK(function(__VA_ARGS__, &out, &error) == (expected));                                                      \
        CHECK(out == NULL);                                                                                            \
        check_error(error, (expected));                                                                                \
        out = GARBAGE(type);                                                                                           \
        CHECK(function(__VA_ARGS__, &out, NULL) == (expected));                                                        \
        CHECK(out == NULL);                                                                                            \
    } while (0)

/* As FAILS for a function that makes no object. */
#define REFUSES(expected, function, ...)                                                                               \
    do {                                                                                                               \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        CHECK(function(__VA_ARGS__, &error) == (expected));                                                            \
        check_error(error, (expected));                                                                                \
        CHECK(function(__VA_ARGS__, NULL) == (expected));                                                              \
    } while (0)

/* A verification that must end without an image, with and without the error. */
static inline void check_fails(const tagtrust_client *client, const char *reference, tagtrust_status expected) {
    tagtrust_image *image = GARBAGE(tagtrust_image);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    tagtrust_status status = tagtrust_client_verify(client, reference, &image, &error);
    check_error(error, expected);
    CHECK(status == expected && image == NULL);
    image = GARBAGE(tagtrust_image);
    CHECK(tagtrust_client_verify(client, reference, &image, NULL) == expected);
    CHECK(image == NULL);
}

static inline tagtrust_client *make_client(const tagtrust_config *config) {
    tagtrust_client *client = GARBAGE(tagtrust_client);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_client_new(config, &client, &error) == TAGTRUST_OK);
    CHECK(client != NULL && error == NULL);
    return client;
}

static inline void in_threads(void *(*work)(void *), void *data) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, data) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

#endif
