/* Every function of the header, called as it must not be: answered with an error,
 * and everything goes on.
 *
 *     misuse WORK_DIR HUGE      (a new directory; the length of huge strings)
 */
#include "functions.h"

static void *live[HANDLES], *freed[HANDLES];
static char *huge;

static void *allocated_elsewhere(void) {
    static char memory[256];
    return memory + 64;
}

static void check_refused(const struct function *function, struct answer answer) {
    if (function->result == STATUS && answer.status != TAGTRUST_INVALID_ARGUMENT)
        fprintf(stderr, "%s: %s\n", function->name, tagtrust_status_name(answer.status));
    CHECK(function->result != STATUS || answer.status == TAGTRUST_INVALID_ARGUMENT);
    /* The name of the status that an error without an object has. */
    CHECK(!answer.is_something || strcmp(function->name, "tagtrust_error_name") == 0);
}

/* What is no object of the right type is not touched, whatever the other arguments are. */
static void *handles_are_looked_up(void *unused) {
    char on_the_stack[64] = "", *on_the_heap = (char *)malloc(64);
    CHECK(on_the_heap != NULL);
    (void)unused;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        const struct function *function = &functions[i];
        char *own = (char *)live[function->handle];
        void *const wrong[] = {
            NULL, freed[function->handle], live[function->handle % (HANDLES - 1) + 1],
            own + 1, own - 8, own + 16, on_the_stack, on_the_stack + 1, on_the_heap, allocated_elsewhere(),
            (void *)1, (void *)UINTPTR_MAX, (void *)functions,
        };
        if (function->handle == NOTHING)
            continue;
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            struct arguments given = usual_arguments(function, wrong[j]);
            if (wrong[j] || !function->handle_may_be_null)
                check_refused(function, function->call(&given));
        }
    }
    free(on_the_heap);
    return NULL;
}

/* Calls a function with one of its strings changed, and an object of its own if it changes that. */
static struct answer call_with(const struct function *function, size_t index, const char *text) {
    void *own = NULL;
    struct arguments given;
    struct answer answer;
    if (function->handle == A_EDIT)
        CHECK(tagtrust_edit_new((const tagtrust_client *)live[A_CLIENT], a_repository, (tagtrust_edit **)&own, NULL) ==
              TAGTRUST_OK);
    else if (function->handle == A_CONFIG)
        own = tagtrust_config_new();
    else if (function->handle == A_SERVER_CONFIG)
        own = tagtrust_server_config_new();
    given = usual_arguments(function, own ? own : live[function->handle]);
    given.text[index] = text;
    answer = function->call(&given);
    if (own)
        free_object(function->handle, own);
    return answer;
}

static void *strings_are_checked(void *unused) {
    (void)unused;
    for (size_t i = 0; i < FUNCTIONS; i++)
        for (size_t j = 0; j < functions[i].text_count; j++) {
            const struct text *text = &functions[i].texts[j];
            struct answer without = call_with(&functions[i], j, NULL), noise = call_with(&functions[i], j, NOT_UTF8);
            if (!text->may_be_null)
                check_refused(&functions[i], without);
            if (!text->is_bytes)
                check_refused(&functions[i], noise);
            CHECK(functions[i].result != STATUS || !text->is_bytes || noise.status != TAGTRUST_OK);
        }
    return NULL;
}

/* Makes what a configuration is for: that must fail with the error of the setter that was refused first. */
static void check_remembered(const struct function *setter, void *config) {
    const uint8_t *root = (const uint8_t *)a_reference;
    const size_t length = strlen(setter->name);
    tagtrust_error *errors[2] = {NULL, NULL};
    tagtrust_client *client;
    tagtrust_trusted_set *set;
    tagtrust_server *server;
    if (setter->handle == A_CONFIG) {
        CHECK(tagtrust_client_new((tagtrust_config *)config, &client, &errors[0]) == TAGTRUST_INVALID_ARGUMENT);
        CHECK(tagtrust_trusted_set_new((tagtrust_config *)config, a_repository, NULL, NULL, 0, root, 1, &set,
                                       &errors[1]) == TAGTRUST_INVALID_ARGUMENT);
    } else
        CHECK(tagtrust_server_start((tagtrust_server_config *)config, &server, &errors[0]) ==
              TAGTRUST_INVALID_ARGUMENT);
    for (size_t i = 0; i < 2; i++)
        if (errors[i]) {
            const char *message = tagtrust_error_message(errors[i]);
            CHECK(strncmp(message, setter->name, length) == 0 && strncmp(message + length, ": ", 2) == 0);
            check_error(errors[i], TAGTRUST_INVALID_ARGUMENT);
        }
}

static void refused_settings_are_remembered(void) {
    static const char *const wrong[] = {NULL, NOT_UTF8};
    for (size_t i = 0; i < FUNCTIONS; i++) {
        const struct function *setter = &functions[i];
        const bool of_client = setter->handle == A_CONFIG, of_server = setter->handle == A_SERVER_CONFIG;
        if ((!of_client && !of_server) || setter->result != STATUS || setter->has_output)
            continue;
        for (size_t j = 0; j < setter->text_count; j++)
            for (size_t k = setter->texts[j].may_be_null; k < 2; k++) {
                void *config = of_client ? (void *)tagtrust_config_new() : (void *)tagtrust_server_config_new();
                struct arguments given = usual_arguments(setter, config);
                given.text[j] = wrong[k];
                CHECK(setter->call(&given).status == TAGTRUST_INVALID_ARGUMENT);
                check_remembered(setter, config);
                /* What is right comes too late. */
                given.text[j] = setter->texts[j].usual;
                setter->call(&given);
                check_remembered(setter, config);
                free_object(setter->handle, config);
            }
    }
}

static void *outputs_are_needed(void *unused) {
    (void)unused;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        struct arguments given = usual_arguments(&functions[i], live[functions[i].handle]);
        given.no_output = true;
        if (functions[i].has_output)
            check_refused(&functions[i], functions[i].call(&given));
    }
    return NULL;
}

/* Nothing but setters and steps may take what is no name, file or text of anything. */
static void huge_strings_are_refused_or_kept(void) {
    for (size_t i = 0; i < FUNCTIONS; i++)
        for (size_t j = 0; j < functions[i].text_count; j++) {
            struct answer answer = call_with(&functions[i], j, huge);
            CHECK(!functions[i].has_output || answer.status != TAGTRUST_OK);
            CHECK(answer.status != TAGTRUST_INTERNAL);
        }
}

static void extreme_numbers_are_no_harm(void) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        struct arguments given = usual_arguments(&functions[i], live[functions[i].handle]);
        given.number = UINT64_MAX;
        if (functions[i].result != VOID)
            CHECK(functions[i].call(&given).status != TAGTRUST_INTERNAL);
    }
}

static void impossible_roots_are_refused(void) {
    const uint8_t *root = (const uint8_t *)a_reference, *roots[2] = {root, root}, *one_missing[2] = {root, NULL};
    const size_t lengths[2] = {1, 1}, huge_lengths[2] = {1, SIZE_MAX}, no_lengths[2] = {0, 0};
    const uint8_t *const *between = (const uint8_t *const *)(void *)((char *)roots + 1);
    const size_t *between_lengths = (const size_t *)(void *)((char *)lengths + 1);
    const struct {
        const uint8_t *const *roots;
        const size_t *lengths;
        size_t count;
    } known[] = {
        {NULL, lengths, 2},
        {roots, NULL, 2},
        {NULL, NULL, 1},
        {one_missing, lengths, 2},
        {one_missing, no_lengths, 2},
        {roots, huge_lengths, 2},
        {roots, lengths, SIZE_MAX},
        {roots, lengths, SIZE_MAX / 2 + 1},
        {roots, lengths, SIZE_MAX / 8},
        {between, lengths, 1},
        {roots, between_lengths, 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, a_repository,
              known[i].roots, known[i].lengths, known[i].count, root, 1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_INPUT, tagtrust_trusted_set_new, NULL, a_repository, roots, no_lengths,
          2, root, 1);
}

/* Nothing of what can be no array is looked at. */
static void impossible_arrays_are_refused(void) {
    const tagtrust_client *client = (const tagtrust_client *)live[A_CLIENT];
    const char *references[2] = {a_reference, a_reference};
    const uint64_t numbers[2] = {1, 1};
    const char *const *between = (const char *const *)(void *)((char *)references + 1);
    const uint64_t *between_numbers = (const uint64_t *)(void *)((char *)numbers + 1);
    tagtrust_image *image = GARBAGE(tagtrust_image);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 8};
    for (size_t i = 0; i < 3; i++) {
        CHECK(tagtrust_client_verify_many(client, references, lengths[i], &image, &error) == TAGTRUST_INVALID_ARGUMENT);
        CHECK(image == GARBAGE(tagtrust_image) && error == GARBAGE(tagtrust_error));
        REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_client_unstage, client, a_repository, numbers, lengths[i]);
    }
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, a_repository, NULL, NULL,
          0, (const uint8_t *)a_reference, SIZE_MAX);
    impossible_roots_are_refused();
    FAILS(tagtrust_publication, TAGTRUST_INVALID_ARGUMENT, tagtrust_client_publish_proposals, client, between, 1);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_client_unstage, client, a_repository, between_numbers, 1);
}

static void *misuses(void *unused) {
    handles_are_looked_up(unused);
    strings_are_checked(unused);
    return outputs_are_needed(unused);
}

int main(int argc, char **argv) {
    tagtrust_image *image;
    CHECK(argc == 3);
    make_objects(live, argv[1]);
    make_objects(freed, argv[1]);
    free_objects(freed);
    free_objects(freed);

    misuses(NULL);
    refused_settings_are_remembered();
    in_threads(misuses, NULL);
    impossible_arrays_are_refused();
    extreme_numbers_are_no_harm();
    huge = (char *)malloc(strtoul(argv[2], NULL, 10) + 1);
    CHECK(huge != NULL);
    memset(huge, 'a', strtoul(argv[2], NULL, 10));
    huge[strtoul(argv[2], NULL, 10)] = 0;
    huge_strings_are_refused_or_kept();
    free(huge);

    /* All of that left the objects as they were. */
    CHECK(tagtrust_client_verify((tagtrust_client *)live[A_CLIENT], a_reference, &image, NULL) == TAGTRUST_OK);
    CHECK(is_text(tagtrust_image_digest(image), a_digest));
    tagtrust_image_free(image);
    CHECK(tagtrust_trusted_set_verify((tagtrust_trusted_set *)live[A_TRUSTED_SET], "1.2", &image, NULL) == TAGTRUST_OK);
    tagtrust_image_free(image);
    CHECK(is_text(tagtrust_image_digest((tagtrust_image *)live[A_IMAGE]), a_digest));
    CHECK(tagtrust_server_reload((tagtrust_server *)live[A_SERVER], NULL) == TAGTRUST_OK);
    free_objects(live);
    return 0;
}
