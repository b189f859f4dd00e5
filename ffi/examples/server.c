/* Runs a trust server in memory, signs a tag on it and verifies it.
 *
 *     cc server.c -o server -ltagtrust
 *     ./server EMPTY_DIR                                (for the client's keys)
 *
 * Exit status: 0 done, 1 not, 2 usage.
 */
#include <stdio.h>
#include <string.h>
#include <tagtrust.h>

static const char *const image_name = "registry.example/team/app:1.2";
static const char *const digest = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";

static ptrdiff_t passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                            char *buffer, size_t capacity) {
    static const char answer[] = "correct horse";
    (void)data, (void)key_id, (void)role, (void)create, (void)attempt, (void)capacity;
    memcpy(buffer, answer, sizeof answer - 1);
    return (ptrdiff_t)sizeof answer - 1;
}

/* The error is set if something failed. */
static tagtrust_error *sign_and_verify(const char *url, const char *trust_dir) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client = NULL;
    tagtrust_publication *publication = NULL;
    tagtrust_image *image = NULL;
    tagtrust_error *error;

    tagtrust_config_set_server(config, url);
    tagtrust_config_set_trust_dir(config, trust_dir);
    tagtrust_config_set_passphrase(config, passphrase, NULL);
    if (tagtrust_client_new(config, &client, &error) == TAGTRUST_OK &&
        tagtrust_client_sign(client, image_name, digest, 1570, &publication, &error) == TAGTRUST_OK &&
        tagtrust_client_verify(client, image_name, &image, &error) == TAGTRUST_OK)
        puts(tagtrust_image_pinned_reference(image));
    tagtrust_image_free(image);
    tagtrust_publication_free(publication);
    tagtrust_client_free(client);
    tagtrust_config_free(config);
    return error;
}

int main(int argc, char **argv) {
    tagtrust_server_config *config;
    tagtrust_server *server;
    tagtrust_error *error;

    if (argc != 2) {
        fprintf(stderr, "usage: %s EMPTY_DIR\n", argv[0]);
        return 2;
    }
    config = tagtrust_server_config_new();
    if (tagtrust_server_start(config, &server, &error) == TAGTRUST_OK) {
        puts(tagtrust_server_url(server));
        error = sign_and_verify(tagtrust_server_url(server), argv[1]);
    }
    int status = error ? 1 : 0;
    if (error)
        fprintf(stderr, "%s: %s\n", tagtrust_error_name(error), tagtrust_error_message(error));
    tagtrust_error_free(error);
    tagtrust_server_free(server);
    tagtrust_server_config_free(config);
    return status;
}
