/* A callback that does not return. No exception gets through the library: the
 * process ends, with a message, before anything could be believed.
 *
 *     exception WORK_DIR throw|exit
 */
#include <stdexcept>

#include "functions.h"

static bool is_exit;

extern "C" int64_t clock_that_does_not_return(void *) {
    if (is_exit)
        exit(7);
    throw std::runtime_error("thrown in a callback");
}

int main(int argc, char **argv) {
    void *live[HANDLES];
    CHECK(argc == 3);
    is_exit = strcmp(argv[2], "exit") == 0;
    make_objects(live, argv[1]);
    tagtrust_client *client = client_of((tagtrust_server *)live[A_SERVER], argv[1], clock_that_does_not_return, NULL);
    tagtrust_image *image;
    try {
        tagtrust_client_verify(client, a_reference, &image, NULL);
    } catch (...) {
        return 8;
    }
    return 9;
}
