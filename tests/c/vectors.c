/* What the files of a repository say, verified from memory:
 *
 *     vectors GUN NOW DIRECTORY TAG...
 *
 * DIRECTORY has them by role, and known roots as known.0.json and so on. Prints
 * digest and size of each tag, or the name of the error that ends it.
 * tests/test_vectors.py compares that with Python.
 */
#include <inttypes.h>

#include "check.h"

enum { KNOWN_ROOTS = 8 };

static unsigned char contents[1 << 20], known[KNOWN_ROOTS][1 << 16];

static int64_t clock_of(void *data) {
    return *(const int64_t *)data;
}

static FILE *file_of(const char *directory, const char *role) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.json", directory, role);
    return fopen(path, "rb");
}

static size_t read_all(FILE *stream, unsigned char *buffer, size_t capacity) {
    CHECK(stream != NULL);
    size_t length = fread(buffer, 1, capacity, stream);
    CHECK(length < capacity);
    fclose(stream);
    return length;
}

static size_t load(const char *directory, const char *role) {
    return read_all(file_of(directory, role), contents, sizeof contents);
}

static size_t load_known_roots(const char *directory, const uint8_t **roots, size_t *lengths) {
    for (size_t i = 0; i < KNOWN_ROOTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "known.%zu", i);
        FILE *stream = file_of(directory, name);
        if (stream == NULL)
            return i;
        roots[i] = known[i];
        lengths[i] = read_all(stream, known[i], sizeof known[i]);
    }
    return KNOWN_ROOTS;
}

/* `error` is a pointer: an argument may be read before the other one is made. */
static void go_on(tagtrust_status status, tagtrust_error **error) {
    if (status != TAGTRUST_OK) {
        puts(tagtrust_error_name(*error));
        exit(0);
    }
}

int main(int argc, char **argv) {
    CHECK(argc > 4);
    const char *gun = argv[1], *directory = argv[3], *role;
    int64_t now = strtoll(argv[2], NULL, 10);
    tagtrust_trusted_set *set;
    tagtrust_error *error;
    tagtrust_config *config = tagtrust_config_new();
    CHECK(tagtrust_config_set_clock(config, clock_of, &now) == TAGTRUST_OK);

    const uint8_t *roots[KNOWN_ROOTS];
    size_t lengths[KNOWN_ROOTS], count = load_known_roots(directory, roots, lengths);
    size_t length = load(directory, "root");
    go_on(tagtrust_trusted_set_new(config, gun, roots, lengths, count, contents, length, &set, &error), &error);
    while ((role = tagtrust_trusted_set_next_role(set)) != NULL) {
        length = load(directory, role);
        go_on(tagtrust_trusted_set_add_role(set, contents, length, &error), &error);
    }
    for (int tag = 4; tag < argc; tag++) {
        tagtrust_image *image;
        go_on(tagtrust_trusted_set_verify(set, argv[tag], &image, &error), &error);
        printf("%s %" PRIu64 "\n", tagtrust_image_digest(image), tagtrust_image_size(image));
        tagtrust_image_free(image);
    }
    tagtrust_trusted_set_free(set);
    tagtrust_config_free(config);
    return 0;
}
