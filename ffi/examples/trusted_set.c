/* Verifies from files alone, without a request: for programs that fetch and keep
 * them themselves. Prints what to pull.
 *
 *     cc trusted_set.c -o trusted_set -ltagtrust
 *     ./trusted_set registry.example/team/app 1.2 \
 *         ~/.docker/trust/tuf/registry.example/team/app/metadata
 *
 * Here the directory's root is trusted as it is. A program that gets a new one
 * hands in the old one as a known root. Exit status: 0 trusted, 1 not, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tagtrust.h>

enum { CAPACITY = 4 << 20 };

static unsigned char buffer[CAPACITY];

/* Reads the file of a role to `buffer`; 0 if it cannot. */
static size_t load(const char *directory, const char *role) {
    char path[4096];
    size_t length = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.json", directory, role);
    file = fopen(path, "rb");
    if (file != NULL) {
        length = fread(buffer, 1, sizeof buffer, file);
        fclose(file);
    }
    if (length == 0 || length == sizeof buffer)
        fprintf(stderr, "%s is missing, empty or too large\n", path);
    return length == sizeof buffer ? 0 : length;
}

static int fail(tagtrust_error *error) {
    fprintf(stderr, "%s: %s\n", tagtrust_error_name(error), tagtrust_error_message(error));
    tagtrust_error_free(error);
    return EXIT_FAILURE;
}

static int verify(const char *repository, const char *tag, const char *directory) {
    tagtrust_trusted_set *set;
    tagtrust_image *image;
    tagtrust_error *error;
    const char *role;
    size_t length = load(directory, "root");

    if (tagtrust_trusted_set_new(NULL, repository, NULL, NULL, 0, buffer, length, &set, &error) != TAGTRUST_OK)
        return fail(error);
    while ((role = tagtrust_trusted_set_next_role(set)) != NULL) {
        length = load(directory, role);
        if (tagtrust_trusted_set_add_role(set, buffer, length, &error) != TAGTRUST_OK)
            goto failed;
    }
    if (tagtrust_trusted_set_verify(set, tag, &image, &error) != TAGTRUST_OK)
        goto failed;
    puts(tagtrust_image_pinned_reference(image));
    tagtrust_image_free(image);
    tagtrust_trusted_set_free(set);
    return EXIT_SUCCESS;

failed:
    tagtrust_trusted_set_free(set);
    return fail(error);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s REPOSITORY TAG DIRECTORY\n", argv[0]);
        return 2;
    }
    return verify(argv[1], argv[2], argv[3]);
}
