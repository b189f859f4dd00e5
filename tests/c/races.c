/* Many threads use, free and make the same objects at once, and do so wrongly.
 *
 *     races WORK_DIR ROUNDS
 */
#include "functions.h"

#define PLACES 16

static void *live[HANDLES];
static unsigned long rounds;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Handles that any thread may take a copy of, use and free, also when others have freed them. */
static tagtrust_image *images[PLACES];
static tagtrust_config *configs[PLACES];
static tagtrust_client *clients[PLACES];
static unsigned threads;

#define SWAP(type, place, new_one)                                                                                     \
    do {                                                                                                               \
        type *old;                                                                                                     \
        CHECK(pthread_mutex_lock(&lock) == 0);                                                                         \
        old = (place);                                                                                                 \
        (place) = (new_one);                                                                                           \
        CHECK(pthread_mutex_unlock(&lock) == 0);                                                                       \
        type##_free(old);                                                                                              \
    } while (0)

#define COPY(to, place)                                                                                                \
    do {                                                                                                               \
        CHECK(pthread_mutex_lock(&lock) == 0);                                                                         \
        (to) = (place);                                                                                                \
        CHECK(pthread_mutex_unlock(&lock) == 0);                                                                       \
    } while (0)

static tagtrust_image *verify_in_memory(void) {
    tagtrust_image *image;
    CHECK(tagtrust_trusted_set_verify((tagtrust_trusted_set *)live[A_TRUSTED_SET], "1.2", &image, NULL) == TAGTRUST_OK);
    /* Its own strings are safe: nobody else knows it yet. */
    CHECK(is_text(tagtrust_image_digest(image), a_digest));
    return image;
}

static void use_images(unsigned place) {
    tagtrust_image *image;
    uint64_t size;
    SWAP(tagtrust_image, images[place], verify_in_memory());
    COPY(image, images[(place + 1) % PLACES]);
    size = tagtrust_image_size(image);
    CHECK(size == 7 || size == 0);
    if (place % 3 == 0)
        tagtrust_image_free(image);
}

static void use_configs(unsigned place) {
    tagtrust_config *config;
    tagtrust_client *client;
    tagtrust_status status;
    COPY(config, configs[place]);
    status = tagtrust_config_set_parallelism(config, place);
    CHECK(status == TAGTRUST_OK || status == TAGTRUST_INVALID_ARGUMENT);
    status = tagtrust_config_require_signer(config, a_repository, "alice");
    CHECK(status == TAGTRUST_OK || status == TAGTRUST_INVALID_ARGUMENT);
    if (place % 4 == 0)
        SWAP(tagtrust_config, configs[place], tagtrust_config_new());
    COPY(config, configs[place]);
    if (place % 5 != 0)
        return;
    status = tagtrust_client_new(config, &client, NULL);
    CHECK(status == TAGTRUST_OK || status == TAGTRUST_INVALID_ARGUMENT);
    if (client)
        SWAP(tagtrust_client, clients[place], client);
}

static void use_clients(unsigned place) {
    tagtrust_client *client;
    tagtrust_error *error;
    tagtrust_image *image = GARBAGE(tagtrust_image);
    COPY(client, clients[place]);
    CHECK(tagtrust_client_verify(client, "r/UPPER", &image, &error) != TAGTRUST_OK && image == NULL);
    CHECK(tagtrust_error_status(error) == TAGTRUST_INVALID_REFERENCE ||
          tagtrust_error_status(error) == TAGTRUST_INVALID_ARGUMENT);
    tagtrust_error_free(error);
}

static void use_shared(void) {
    tagtrust_edit *edit = (tagtrust_edit *)live[A_EDIT];
    tagtrust_image *image;
    tagtrust_publication *planned;
    CHECK(tagtrust_edit_sign(edit, "1.2", a_digest, 7, NULL, NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_dry_run(edit, &planned, NULL) == TAGTRUST_OK);
    CHECK(!tagtrust_publication_published(planned));
    tagtrust_publication_free(planned);
    CHECK(tagtrust_client_verify((tagtrust_client *)live[A_CLIENT], a_reference, &image, NULL) == TAGTRUST_OK);
    CHECK(is_text(tagtrust_image_digest(image), a_digest));
    tagtrust_image_free(image);
}

static void *work(void *unused) {
    unsigned number;
    (void)unused;
    CHECK(pthread_mutex_lock(&lock) == 0);
    number = threads++;
    CHECK(pthread_mutex_unlock(&lock) == 0);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned place = (round * 7 + number * 5) % PLACES;
        use_images(place);
        use_configs(place);
        use_clients(place);
        if (round % 16 == 0)
            use_shared();
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    rounds = strtoul(argv[2], NULL, 10);
    make_objects(live, argv[1]);
    in_threads(work, NULL);
    for (unsigned place = 0; place < PLACES; place++) {
        tagtrust_image_free(images[place]);
        tagtrust_config_free(configs[place]);
        tagtrust_client_free(clients[place]);
    }
    free_objects(live);
    return 0;
}
