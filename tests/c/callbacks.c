/* Callbacks that call back, free what is in use, give any time, or block.
 *
 *     callbacks WORK_DIR
 */
#include <time.h>

#include "functions.h"

static const char *work_dir;
static void *live[HANDLES];

static const char *path(const char *name, char place[512]) {
    CHECK(snprintf(place, 512, "%s/%s", work_dir, name) < 512);
    return place;
}

static tagtrust_status verify(const tagtrust_client *client, const char *reference) {
    tagtrust_image *image;
    tagtrust_error *error;
    tagtrust_status status = tagtrust_client_verify(client, reference, &image, &error);
    CHECK((image != NULL) == (status == TAGTRUST_OK) && (error != NULL) == (status != TAGTRUST_OK));
    tagtrust_image_free(image);
    tagtrust_error_free(error);
    return status;
}

/* As the header lists them. */
static bool waits(const struct function *function) {
    enum handle handle = function->handle;
    if (strcmp(function->name, "tagtrust_server_start") == 0 || strcmp(function->name, "tagtrust_set_log") == 0)
        return true;
    return function->result == STATUS &&
           (handle == A_CLIENT || handle == A_EDIT || handle == A_TRUSTED_SET || handle == A_SERVER);
}

/* Whatever may wait for the call that the callback belongs to says no; everything else works. */
static void call_all(void) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        const struct function *function = &functions[i];
        struct arguments given = usual_arguments(function, live[function->handle]);
        struct answer answer;
        if (function->result == VOID)
            continue;
        answer = function->call(&given);
        if (waits(function))
            CHECK(answer.status == TAGTRUST_INVALID_ARGUMENT);
        CHECK(answer.status != TAGTRUST_INTERNAL);
    }
}

static int64_t clock_that_calls_all(void *calls) {
    ++*(int *)calls;
    call_all();
    return a_clock_callback(NULL);
}

static ptrdiff_t passphrase_that_calls_all(void *calls, const char *key_id, const char *role, bool create,
                                           uint32_t attempt, char *buffer, size_t capacity) {
    ++*(int *)calls;
    call_all();
    return a_passphrase_callback(NULL, key_id, role, create, attempt, buffer, capacity);
}

static void log_that_calls_all(void *calls, int level, const char *target, const char *message) {
    a_log_callback(NULL, level, target, message);
    if (++*(int *)calls <= 3)
        call_all();
}

static void nothing_waits_for_its_own_callback(void) {
    char place[512];
    int clocks = 0, passphrases = 0, messages = 0;
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_publication *publication;
    tagtrust_client *client;
    CHECK(tagtrust_config_set_server(config, tagtrust_server_url((tagtrust_server *)live[A_SERVER])) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, path("calls", place)) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, passphrase_that_calls_all, &passphrases) == TAGTRUST_OK);
    client = make_client(config);
    CHECK(tagtrust_client_sign(client, "registry.example/team/calls:1", a_digest, 7, &publication, NULL) ==
          TAGTRUST_OK);
    tagtrust_publication_free(publication);
    CHECK(passphrases > 0);
    tagtrust_client_free(client);
    tagtrust_config_free(config);

    client = client_of((tagtrust_server *)live[A_SERVER], place, clock_that_calls_all, &clocks);
    CHECK(verify(client, a_reference) == TAGTRUST_EXPIRED && clocks > 0);
    CHECK(tagtrust_set_log(log_that_calls_all, &messages, 5, NULL) == TAGTRUST_OK);
    CHECK(verify((tagtrust_client *)live[A_CLIENT], a_reference) == TAGTRUST_OK && messages > 0);
    CHECK(tagtrust_set_log(NULL, NULL, 0, NULL) == TAGTRUST_OK);
    tagtrust_client_free(client);
}

static int64_t any_time(void *time) {
    return *(int64_t *)time;
}

static void any_number_is_a_time(void) {
    const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char name[16], place[512];
        int64_t time = times[i];
        tagtrust_client *client;
        tagtrust_publication *publication;
        tagtrust_error *error;
        tagtrust_status status;
        snprintf(name, sizeof name, "time%zu", i);
        client = client_of((tagtrust_server *)live[A_SERVER], path(name, place), any_time, &time);
        /* The root's certificate is for another time. */
        CHECK(verify(client, a_reference) == TAGTRUST_ROOT_NOT_TRUSTED);
        status = tagtrust_client_sign(client, "registry.example/team/time:1", a_digest, 7, &publication, &error);
        if (status == TAGTRUST_INTERNAL)
            fprintf(stderr, "at %lld: %s\n", (long long)time, tagtrust_error_message(error));
        CHECK(status != TAGTRUST_INTERNAL);
        tagtrust_publication_free(publication);
        tagtrust_error_free(error);
        tagtrust_client_free(client);
    }
}

static int64_t clock_that_frees(void *client) {
    tagtrust_client_free(*(tagtrust_client **)client);
    return (int64_t)time(NULL);
}

static void an_object_in_use_ends_after_its_call(void) {
    char place[512];
    tagtrust_client *client;
    client = client_of((tagtrust_server *)live[A_SERVER], path("frees", place), clock_that_frees, &client);
    CHECK(verify(client, a_reference) == TAGTRUST_OK);
    CHECK(verify(client, a_reference) == TAGTRUST_INVALID_ARGUMENT);
}

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_blocked, may_go_on;
    pthread_t other;
    tagtrust_client *client;
} block = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, 0, NULL};

/* Blocks all threads but one. */
static int64_t clock_that_blocks(void *data) {
    CHECK(data == &block && pthread_mutex_lock(&block.mutex) == 0);
    if (!pthread_equal(block.other, pthread_self())) {
        block.is_blocked = true;
        CHECK(pthread_cond_broadcast(&block.changed) == 0);
        while (!block.may_go_on)
            CHECK(pthread_cond_wait(&block.changed, &block.mutex) == 0);
    }
    CHECK(pthread_mutex_unlock(&block.mutex) == 0);
    return (int64_t)time(NULL);
}

static void *is_blocked(void *unused) {
    (void)unused;
    CHECK(verify(block.client, a_reference) == TAGTRUST_OK);
    return NULL;
}

/* Others go on with the same client, and even free it. */
static void a_callback_that_blocks_keeps_up_no_other_repository(void) {
    char place[512];
    pthread_t thread;
    block.client = client_of((tagtrust_server *)live[A_SERVER], path("blocks", place), clock_that_blocks, &block);
    block.other = pthread_self();
    CHECK(pthread_create(&thread, NULL, is_blocked, NULL) == 0);
    CHECK(pthread_mutex_lock(&block.mutex) == 0);
    while (!block.is_blocked)
        CHECK(pthread_cond_wait(&block.changed, &block.mutex) == 0);
    CHECK(pthread_mutex_unlock(&block.mutex) == 0);

    CHECK(verify(block.client, "registry.example/team/calls:1") == TAGTRUST_OK);
    CHECK(verify(block.client, "registry.example/team/calls:2") == TAGTRUST_TAG_NOT_SIGNED);
    tagtrust_client_free(block.client);
    CHECK(verify(block.client, a_reference) == TAGTRUST_INVALID_ARGUMENT);

    CHECK(pthread_mutex_lock(&block.mutex) == 0);
    block.may_go_on = true;
    CHECK(pthread_cond_broadcast(&block.changed) == 0);
    CHECK(pthread_mutex_unlock(&block.mutex) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    work_dir = argv[1];
    make_objects(live, work_dir);
    nothing_waits_for_its_own_callback();
    any_number_is_a_time();
    an_object_in_use_ends_after_its_call();
    a_callback_that_blocks_keeps_up_no_other_repository();
    free_objects(live);
    return 0;
}
