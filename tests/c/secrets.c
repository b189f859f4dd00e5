/* Passphrases are wiped when they are no longer needed: this looks for one in all memory of this process.
 *
 *     secrets TRUST_DIR      (a new directory)
 */
#define _XOPEN_SOURCE 700

#include <fcntl.h>
#include <unistd.h>

#include "check.h"

/* In plain text it stands nowhere in this program, so that whatever is found was left behind. */
static const char masked[] = "\x1f\x04\x0f\x1b\x02\x19\x5c\x0a\x01\x4c\x12\x1e\x03\x45\x1a\x08";
enum { LENGTH = sizeof masked - 1, MASK = 0x6b, PAGE = 4096 };

static char asked_for[65];
static int asked;

/* Writes it to the buffer, and if `data` is not NULL answers that there is none. */
static ptrdiff_t passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                            char *buffer, size_t capacity) {
    (void)role, (void)create, (void)attempt;
    CHECK(capacity >= LENGTH && strlen(key_id) < sizeof asked_for);
    strcpy(asked_for, key_id);
    asked++;
    for (int i = 0; i < LENGTH; i++)
        buffer[i] = (char)(masked[i] ^ MASK);
    return data ? -1 : LENGTH;
}

/* How often it stands in what can be written: heaps, stacks, variables. */
static int found(void) {
    static char bytes[PAGE + LENGTH - 1];
    char line[512], mode[8];
    unsigned long start, end;
    int count = 0, memory = open("/proc/self/mem", O_RDONLY);
    FILE *maps = fopen("/proc/self/maps", "r");

    CHECK(maps != NULL && memory >= 0);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3 || strncmp(mode, "rw", 2) != 0)
            continue;
        for (; start < end; start += PAGE) {
            ssize_t length = pread(memory, bytes, sizeof bytes, (off_t)start);
            for (ssize_t at = 0; at + LENGTH <= length; at++) {
                int same = 0;
                while (same < LENGTH && (bytes[at + same] ^ MASK) == masked[same])
                    same++;
                count += same == LENGTH;
            }
            memset(bytes, 0, sizeof bytes);
        }
    }
    fclose(maps);
    close(memory);
    return count;
}

int main(int argc, char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    tagtrust_text *key;
    char kept[LENGTH];

    CHECK(argc == 2);
    CHECK(passphrase(NULL, "", "", true, 0, kept, sizeof kept) == LENGTH && found() > 0);
    memset(kept, 0, sizeof kept);
    CHECK(found() == 0);

    CHECK(tagtrust_config_set_trust_dir(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, passphrase, config) == TAGTRUST_OK);
    client = make_client(config);
    CHECK(tagtrust_client_generate_key(client, "alice", argv[1], &key, NULL) == TAGTRUST_WRONG_PASSPHRASE);
    CHECK(asked == 2 && found() == 0);
    tagtrust_client_free(client);

    CHECK(tagtrust_config_set_passphrase(config, passphrase, NULL) == TAGTRUST_OK);
    client = make_client(config);
    CHECK(tagtrust_client_generate_key(client, "alice", argv[1], &key, NULL) == TAGTRUST_OK);
    CHECK(asked == 3 && found() == 0);
    /* The old one and the new one. */
    CHECK(tagtrust_client_change_passphrase(client, asked_for, NULL, NULL) == TAGTRUST_OK);
    CHECK(asked == 5 && found() == 0);
    tagtrust_text_free(key);
    tagtrust_client_free(client);
    tagtrust_config_free(config);
    return 0;
}
