/*
 * calls memory METADATA REPOSITORY TAG COUNT: verify a tag over and over from
 * files in memory, from the root down.
 * calls client SERVER CA_FILE TRUST_DIR REFERENCE COUNT: let a client answer
 * that needs no request.
 * Prints the CPU time of one call in nanoseconds. core/benches/calls.rs and
 * calls.py do the same.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tagtrust.h>

static const char *const ROLES[] = { "root", "timestamp", "snapshot", "targets" };

struct file {
    uint8_t *data;
    size_t length;
};

/* `error` is a pointer: an argument may be read before the other one is made. */
static void must(tagtrust_status status, tagtrust_error **error)
{
    if (status != TAGTRUST_OK) {
        fprintf(stderr, "%s\n", tagtrust_error_message(*error));
        exit(1);
    }
}

static struct file read_file(const char *directory, const char *role)
{
    char path[4096];
    struct file file = { malloc(1 << 24), 0 };
    snprintf(path, sizeof path, "%s/%s.json", directory, role);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || file.data == NULL)
        exit(1);
    file.length = fread(file.data, 1, 1 << 24, stream);
    fclose(stream);
    return file;
}

static double cpu_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void use(tagtrust_image *image)
{
    if (tagtrust_image_digest(image)[0] != 's')
        exit(1);
    tagtrust_image_free(image);
}

static void in_memory(const struct file *files, const char *repository, const char *tag)
{
    tagtrust_error *error;
    tagtrust_trusted_set *set;
    tagtrust_image *image;
    must(tagtrust_trusted_set_new(NULL, repository, NULL, NULL, 0, files[0].data, files[0].length, &set, &error), &error);
    must(tagtrust_trusted_set_add_timestamp(set, files[1].data, files[1].length, &error), &error);
    must(tagtrust_trusted_set_add_snapshot(set, files[2].data, files[2].length, &error), &error);
    must(tagtrust_trusted_set_add_role(set, files[3].data, files[3].length, &error), &error);
    must(tagtrust_trusted_set_verify(set, tag, &image, &error), &error);
    use(image);
    tagtrust_trusted_set_free(set);
}

static void by_client(const tagtrust_client *client, const char *reference)
{
    tagtrust_error *error;
    tagtrust_image *image;
    must(tagtrust_client_verify(client, reference, &image, &error), &error);
    use(image);
}

static tagtrust_client *make_client(const char *server, const char *ca_file, const char *trust_dir)
{
    tagtrust_error *error;
    tagtrust_client *client;
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_config_set_server(config, server);
    tagtrust_config_set_ca_file(config, ca_file);
    tagtrust_config_set_trust_dir(config, trust_dir);
    tagtrust_config_set_offline_max_age_ms(config, 3600 * 1000);
    must(tagtrust_client_new(config, &client, &error), &error);
    tagtrust_config_free(config);
    return client;
}

int main(int argc, char **argv)
{
    tagtrust_client *client = NULL;
    struct file files[4];
    int memory = argc == 6 && strcmp(argv[1], "memory") == 0;
    if (!memory && argc != 7)
        return 2;
    long count = atol(argv[argc - 1]);
    if (memory)
        for (int role = 0; role < 4; role++)
            files[role] = read_file(argv[2], ROLES[role]);
    else
        client = make_client(argv[2], argv[3], argv[4]);

    double start = 0;
    /* The first call is not counted: it fills caches, and a client asks the server. */
    for (long call = -1; call < count; call++) {
        if (call == 0)
            start = cpu_nanoseconds();
        if (memory)
            in_memory(files, argv[3], argv[4]);
        else
            by_client(client, argv[5]);
    }
    printf("%f\n", (cpu_nanoseconds() - start) / (double)count);
    return 0;
}
