/* Prints what to pull for an image reference, if its publisher signed it.
 *
 *     cc verify.c -o verify -ltagtrust
 *     ./verify registry.example/team/app:1.2
 *
 * Exit status: 0 trusted, 1 refused, 2 usage, 3 could not be decided.
 */
#include <stdio.h>
#include <string.h>
#include <tagtrust.h>

enum { TRUSTED = 0, REFUSED = 1, USAGE = 2, UNDECIDED = 3 };

static int usage(const char *program) {
    fprintf(stderr, "usage: %s [--server URL] [--ca-file FILE] [--trust-dir DIR] REFERENCE\n", program);
    return USAGE;
}

/* Reports an error and frees it. */
static int failed(tagtrust_error *error) {
    int is_refusal = tagtrust_error_is_refusal(error);
    int is_usage = tagtrust_error_status(error) < TAGTRUST_NO_TRUST_DATA;
    fprintf(stderr, "%s: %s\n", tagtrust_error_name(error), tagtrust_error_message(error));
    tagtrust_error_free(error);
    return is_refusal ? REFUSED : is_usage ? USAGE : UNDECIDED;
}

static int verify(const tagtrust_config *config, const char *reference) {
    tagtrust_client *client;
    tagtrust_image *image;
    tagtrust_error *error;

    if (tagtrust_client_new(config, &client, &error) != TAGTRUST_OK)
        return failed(error);
    if (tagtrust_client_verify(client, reference, &image, &error) == TAGTRUST_OK)
        puts(tagtrust_image_pinned_reference(image));
    tagtrust_image_free(image);
    tagtrust_client_free(client);
    return error ? failed(error) : TRUSTED;
}

int main(int argc, char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    int next = 1, result = USAGE;

    for (; next + 1 < argc; next += 2) {
        tagtrust_status status = TAGTRUST_INVALID_ARGUMENT;
        if (strcmp(argv[next], "--server") == 0)
            status = tagtrust_config_set_server(config, argv[next + 1]);
        else if (strcmp(argv[next], "--ca-file") == 0)
            status = tagtrust_config_set_ca_file(config, argv[next + 1]);
        else if (strcmp(argv[next], "--trust-dir") == 0)
            status = tagtrust_config_set_trust_dir(config, argv[next + 1]);
        if (status != TAGTRUST_OK)
            break;
    }
    if (next + 1 == argc && argv[next][0] != '-')
        result = verify(config, argv[next]);
    else
        usage(argv[0]);
    tagtrust_config_free(config);
    return result;
}
