/* An image verifier for containerd: may this image be pulled?
 *
 *     tagtrust-containerd -name REF -digest DIGEST -stdin-media-type TYPE < descriptor
 *
 * containerd calls it so before each pull. Exit status: 0 pull it, 1 refused,
 * 2 wrong call or configuration, 3 could not be decided; only 0 lets containerd
 * pull. The reason is one line on standard output. README.md has the rest.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tagtrust.h>

enum { TRUSTED = 0, REFUSED = 1, MISUSED = 2, UNDECIDED = 3 };

#define CONFIG_VARIABLE "TAGTRUST_CONTAINERD_CONFIG"
#define DEFAULT_CONFIG "/etc/tagtrust/containerd.conf"
/* Not those of root, whom containerd runs as: what is not configured is not used. */
#define DEFAULT_TRUST_DIR "/var/lib/tagtrust/containerd"
#define DEFAULT_DOCKER_CONFIG "/etc/tagtrust/docker"

enum {
    /* Below containerd's 10 seconds even with the second more that ends this process. */
    DEFAULT_TIMEOUT = 8,
    MAX_SECONDS = 7 * 24 * 60 * 60,
    MAX_CONFIG = 64 * 1024,
    MAX_WORDS = 64,
    /* Descriptors have some hundred bytes; more is not read. */
    MAX_DESCRIPTOR = 1024 * 1024,
    /* containerd cuts at 32 KiB, and puts it into one line of its log. */
    MAX_REASON = 1024,
};

/* What containerd asks. */
struct question {
    const char *name;
    const char *digest;
};

/* What stands in the configuration file. */
struct settings {
    const char *file;
    char *text; /* the words below point into it */
    tagtrust_config *library;
    const char *trust_dir;
    unsigned timeout;
    const char *exempt[MAX_CONFIG / 8];
    size_t exempt_count;
};

/* Prints the reason and gives the status. Names in it are a stranger's: what is
 * not printable ASCII could break containerd's log, or its message to a client. */
static int say(int status, const char *format, ...) {
    char reason[MAX_REASON];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(reason, sizeof reason, format, arguments) < 0)
        reason[0] = '\0';
    va_end(arguments);
    for (char *c = reason; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    puts(reason);
    return fflush(stdout) == 0 || status != TRUSTED ? status : UNDECIDED;
}

/* Where one of the three standard files is closed, the next one that is opened
 * would take its place, and get the reason, or a report of the library. */
static bool has_standard_files(void) {
    int file;
    do
        file = open("/dev/null", O_RDWR);
    while (file >= 0 && file <= STDERR_FILENO);
    if (file >= 0)
        close(file);
    return file >= 0;
}

/* The time */

static void give_up(int signal_number) {
    static const char reason[] = "there is no answer in time\n";
    (void)signal_number;
    if (write(STDOUT_FILENO, reason, sizeof reason - 1) < 0)
        _exit(UNDECIDED);
    _exit(UNDECIDED);
}

/* Ends this process after so many seconds, whatever it waits for. */
static void end_after(unsigned seconds) {
    struct sigaction action = {.sa_handler = give_up};
    sigset_t alarms;

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(seconds);
}

/* What containerd hands over */

/* Each flag once, with one `-` or two as Go reads them, and nothing else. */
static bool read_arguments(int argc, char **argv, struct question *question) {
    const char *media_type = NULL;
    struct {
        const char *name;
        const char **value;
    } flags[] = {{"-name", &question->name}, {"-digest", &question->digest}, {"-stdin-media-type", &media_type}};

    for (int next = 1; next < argc; next += 2) {
        const char *flag = argv[next];
        const char **value = NULL;
        if (strncmp(flag, "--", 2) == 0)
            flag++;
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            if (strcmp(flag, flags[i].name) == 0)
                value = flags[i].value;
        if (value == NULL || *value != NULL || next + 1 == argc)
            return false;
        *value = argv[next + 1];
    }
    return question->name && question->digest && media_type;
}

/* Reads the descriptor to its end, so that containerd can write all of it. What
 * it says is not looked at: the digest names the image, and what is signed. */
static const char *read_descriptor(void) {
    char buffer[16 * 1024];
    size_t length = 0;
    ssize_t count;

    while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return "standard input cannot be read";
        length += (size_t)count;
        if (length > MAX_DESCRIPTOR)
            return "the descriptor on standard input is too large";
    }
    return length > 0 ? NULL : "there is no descriptor on standard input";
}

/* Names of images */

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool has_only(const char *characters, const char *start, const char *end) {
    return strspn(start, characters) >= (size_t)(end - start);
}

static bool is_digest(const char *text) {
    static const char prefix[] = "sha256:";
    const char *digits = text + sizeof prefix - 1;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    return strlen(digits) == 64 && strspn(digits, DIGITS "abcdef") == 64;
}

/* One of those that "/" divides: a letter or digit at both ends, and no "..". */
static bool is_component(const char *start, const char *end) {
    static const char separators[] = "._-";
    if (start == end || !has_only(LOWER DIGITS "._-", start, end))
        return false;
    for (const char *c = start; c + 1 < end; c++)
        if (c[0] == '.' && c[1] == '.')
            return false;
    return !strchr(separators, start[0]) && !strchr(separators, end[-1]);
}

/* Whether it is a name in full, `host/path:tag`, `host/path@digest` or both. If it
 * is, `repository_length` is the length of `host/path`.
 *
 * Stricter: where Docker would put docker.io in front, containerd would ask
 * another host. And what an exemption is compared with may have nothing that a URL
 * reads otherwise, such as "..", "%" or "?". The library reads the name again. */
static bool is_full_name(const char *name, size_t *repository_length) {
    const char *end = name + strcspn(name, "@");
    const char *host_end = memchr(name, '/', (size_t)(end - name));

    if (host_end == NULL || !has_only(LOWER UPPER DIGITS ".-:[]", name, host_end))
        return false;
    bool is_host = strcspn(name, ".:") < (size_t)(host_end - name);
    if (!is_host && strncmp(name, "localhost/", sizeof "localhost/" - 1) != 0)
        return false;

    const char *tag = memchr(host_end, ':', (size_t)(end - host_end));
    const char *path_end = tag ? tag : end;
    if (tag && (tag + 1 == end || !has_only(LOWER UPPER DIGITS "._-", tag + 1, end)))
        return false;
    if (*end == '@' ? !is_digest(end + 1) : tag == NULL)
        return false;

    for (const char *slash = host_end; slash < path_end;) {
        const char *start = slash + 1;
        for (slash = start; slash < path_end && *slash != '/';)
            slash++;
        if (!is_component(start, slash))
            return false;
    }
    *repository_length = (size_t)(path_end - name);
    return true;
}

/* `pattern` is the name of a repository, or the start of some with a final "/" and "*". */
static bool matches(const char *pattern, const char *repository, size_t length) {
    size_t fixed = strlen(pattern);
    if (pattern[fixed - 1] == '*')
        return length >= fixed && strncmp(pattern, repository, fixed - 1) == 0;
    return length == fixed && strncmp(pattern, repository, length) == 0;
}

static bool is_exempt(const struct settings *settings, const char *repository, size_t length) {
    for (size_t i = 0; i < settings->exempt_count; i++)
        if (matches(settings->exempt[i], repository, length))
            return true;
    return false;
}

/* The configuration file: a setting on each line, its name, and its words. Each
 * function below gives NULL, or what is wrong with them. */

static const char *done(tagtrust_status status) {
    return status == TAGTRUST_OK ? NULL : "that cannot be used";
}

static const char *read_bool(const char *word, bool *value) {
    *value = strcmp(word, "yes") == 0;
    return *value || strcmp(word, "no") == 0 ? NULL : "it is \"yes\" or \"no\"";
}

static const char *read_number(const char *word, unsigned least, unsigned most, unsigned *value) {
    size_t digits = strspn(word, DIGITS);
    if (digits == 0 || digits > 9 || word[digits] != '\0')
        return "that is no number";
    *value = (unsigned)strtoul(word, NULL, 10);
    return *value < least || *value > most ? "that number cannot be used" : NULL;
}

static const char *set_trust_dir(struct settings *to, char **words, size_t count) {
    (void)count;
    to->trust_dir = words[0];
    return done(tagtrust_config_set_trust_dir(to->library, words[0]));
}

static const char *set_docker_config(struct settings *to, char **words, size_t count) {
    (void)count;
    return done(tagtrust_config_set_docker_config(to->library, words[0]));
}

static const char *set_server(struct settings *to, char **words, size_t count) {
    (void)count;
    return done(tagtrust_config_set_server(to->library, words[0]));
}

static const char *set_ca_file(struct settings *to, char **words, size_t count) {
    (void)count;
    return done(tagtrust_config_set_ca_file(to->library, words[0]));
}

static const char *set_client_cert(struct settings *to, char **words, size_t count) {
    (void)count;
    return done(tagtrust_config_set_client_cert(to->library, words[0], words[1]));
}

static const char *set_timeout(struct settings *to, char **words, size_t count) {
    (void)count;
    return read_number(words[0], 1, MAX_SECONDS, &to->timeout);
}

static const char *set_require_fresh(struct settings *to, char **words, size_t count) {
    bool required;
    const char *wrong = read_bool(words[0], &required);
    (void)count;
    return wrong ? wrong : done(tagtrust_config_set_require_fresh(to->library, required));
}

static const char *set_danger_plain_http(struct settings *to, char **words, size_t count) {
    bool allowed;
    const char *wrong = read_bool(words[0], &allowed);
    (void)count;
    return wrong ? wrong : done(tagtrust_config_set_danger_plain_http(to->library, allowed));
}

static const char *set_trust_on_first_use(struct settings *to, char **words, size_t count) {
    bool allowed;
    const char *wrong = read_bool(words[0], &allowed);
    (void)count;
    return wrong ? wrong : done(tagtrust_config_set_trust_on_first_use(to->library, allowed));
}

static const char *pin_certificate(struct settings *to, char **words, size_t count) {
    tagtrust_status status = TAGTRUST_OK;
    for (size_t i = 1; i < count && status == TAGTRUST_OK; i++)
        status = tagtrust_config_pin_certificate(to->library, words[0], words[i]);
    return done(status);
}

static const char *pin_ca(struct settings *to, char **words, size_t count) {
    static char wrong[MAX_REASON];
    tagtrust_error *error;
    (void)count;
    if (tagtrust_config_pin_ca(to->library, words[0], words[1], &error) == TAGTRUST_OK)
        return NULL;
    snprintf(wrong, sizeof wrong, "%s", tagtrust_error_message(error));
    tagtrust_error_free(error);
    return wrong;
}

static const char *require_signer(struct settings *to, char **words, size_t count) {
    (void)count;
    return done(tagtrust_config_require_signer(to->library, words[0], words[1]));
}

static const char *require_threshold(struct settings *to, char **words, size_t count) {
    unsigned threshold;
    const char *wrong = read_number(words[1], 1, MAX_WORDS, &threshold);
    const char *const *signers = (const char *const *)words + 2;
    return wrong ? wrong
                 : done(tagtrust_config_require_threshold(to->library, words[0], signers, count - 2, threshold));
}

/* Stricter: nothing exempts all images, and "example.com*" would exempt "example.com.evil.org". */
static const char *add_exemption(struct settings *to, char **words, size_t count) {
    const char *pattern = words[0];
    const char *star = strchr(pattern, '*');
    (void)count;
    if (strchr(pattern, '/') == NULL || (star && (star[1] != '\0' || star == pattern || star[-1] != '/')))
        return "it is a repository's full name, or the start of one with a final \"/*\"";
    if (to->exempt_count == sizeof to->exempt / sizeof *to->exempt)
        return "there are too many";
    to->exempt[to->exempt_count++] = pattern;
    return NULL;
}

static const struct setting {
    const char *name;
    size_t least, most; /* words */
    bool repeats;
    size_t first_path; /* from this word on they are paths; 0: none is */
    const char *(*set)(struct settings *, char **, size_t);
} SETTINGS[] = {
    {"trust_dir", 1, 1, false, 1, set_trust_dir},
    {"docker_config", 1, 1, false, 1, set_docker_config},
    {"server", 1, 1, false, 0, set_server},
    {"ca_file", 1, 1, false, 1, set_ca_file},
    {"client_cert", 2, 2, false, 1, set_client_cert},
    {"timeout", 1, 1, false, 0, set_timeout},
    {"require_fresh", 1, 1, false, 0, set_require_fresh},
    {"danger_plain_http", 1, 1, false, 0, set_danger_plain_http},
    {"trust_on_first_use", 1, 1, false, 0, set_trust_on_first_use},
    {"pin_certificate", 2, MAX_WORDS, true, 0, pin_certificate},
    {"pin_ca", 2, 2, true, 2, pin_ca},
    {"require_signer", 2, 2, true, 0, require_signer},
    {"require_threshold", 3, MAX_WORDS, true, 0, require_threshold},
    {"exempt", 1, 1, true, 0, add_exemption},
};
enum { SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS };

/* One line; an empty one and one with "#" in front say nothing. */
static const char *read_line(struct settings *to, char *line, bool *seen) {
    static const char blanks[] = " \t\r";
    char *words[MAX_WORDS + 1], *rest = NULL;
    size_t count = 0;

    if (line[strspn(line, blanks)] == '#')
        return NULL;
    for (char *word = strtok_r(line, blanks, &rest); word; word = strtok_r(NULL, blanks, &rest)) {
        if (count == MAX_WORDS + 1)
            return "there are too many words";
        words[count++] = word;
    }
    if (count == 0)
        return NULL;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &SETTINGS[i];
        if (strcmp(words[0], setting->name) != 0)
            continue;
        if (seen[i] && !setting->repeats)
            return "it stands there twice";
        seen[i] = true;
        if (count - 1 < setting->least || count - 1 > setting->most)
            return "there are too few or too many words";
        for (size_t word = setting->first_path; word > 0 && word < count; word++)
            if (words[word][0] != '/')
                return "it is a path that starts with \"/\"";
        return setting->set(to, words + 1, count - 1);
    }
    return "there is no such setting";
}

/* The text of the file. Whoever may change it decides what is trusted: that is root and who runs this. */
static const char *read_file(struct settings *to) {
    struct stat status;
    const char *wrong = NULL;
    int descriptor = open(to->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe is opened without waiting */
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "rb");

    if (file == NULL)
        return strerror(errno);
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        wrong = "it is no file";
    else if ((status.st_uid != 0 && status.st_uid != geteuid()) || (status.st_mode & (S_IWGRP | S_IWOTH)))
        wrong = "others may change it";
    else if ((to->text = calloc(1, MAX_CONFIG + 1)) == NULL)
        wrong = "there is no memory";
    else {
        size_t length = fread(to->text, 1, MAX_CONFIG, file);
        if (ferror(file))
            wrong = "it cannot be read";
        else if (fgetc(file) != EOF)
            wrong = "it is too large";
        else if (strlen(to->text) != length)
            wrong = "it is no text";
    }
    fclose(file);
    return wrong;
}

/* TRUSTED means: it was read. Else the reason is said. */
static int read_settings(struct settings *to) {
    bool seen[SETTING_COUNT] = {false};
    const char *wrong = read_file(to);
    int number = 1;

    if (wrong)
        return say(MISUSED, "%s cannot be used: %s", to->file, wrong);
    /* Stricter: Docker trusts whoever answers first; here somebody has to allow it. */
    if ((to->library = tagtrust_config_new()) == NULL ||
        tagtrust_config_set_trust_dir(to->library, to->trust_dir) != TAGTRUST_OK ||
        tagtrust_config_set_docker_config(to->library, DEFAULT_DOCKER_CONFIG) != TAGTRUST_OK ||
        tagtrust_config_set_trust_on_first_use(to->library, false) != TAGTRUST_OK)
        return say(UNDECIDED, "the defaults cannot be used");

    for (char *line = to->text, *end; line; line = end, number++) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        /* The first word as it stands there, for the message. */
        size_t indent = strspn(line, " \t"), word = strcspn(line + indent, " \t\r");
        const char *name = line + indent;
        if ((wrong = read_line(to, line, seen)))
            return say(MISUSED, "%s, line %d: %.*s: %s", to->file, number, (int)word, name, wrong);
    }
    if (tagtrust_config_set_timeout_ms(to->library, to->timeout * UINT64_C(1000)) != TAGTRUST_OK)
        return say(UNDECIDED, "the timeout cannot be used");
    return TRUSTED;
}

/* What is seen of a repository is remembered there: makes the directory, and tries
 * it with a file. Gives NULL, or what is wrong. */
static const char *try_directory(const char *directory) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/.try-XXXXXX", directory), file;

    if (length < 0 || (size_t)length >= sizeof path)
        return strerror(ENAMETOOLONG);
    for (char *slash = path; (slash = strchr(slash + 1, '/')); *slash = '/') {
        *slash = '\0';
        if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
            return strerror(errno);
    }
    if ((file = mkstemp(path)) < 0)
        return strerror(errno);
    close(file);
    return unlink(path) == 0 ? NULL : strerror(errno);
}

/* The answer */

static int failed(tagtrust_error *error) {
    tagtrust_status status = tagtrust_error_status(error);
    bool is_misuse = status == TAGTRUST_INVALID_CONFIGURATION || status == TAGTRUST_INVALID_ARGUMENT;
    bool is_refusal = tagtrust_error_is_refusal(error) || status == TAGTRUST_INVALID_REFERENCE;
    int result = say(is_misuse ? MISUSED : is_refusal ? REFUSED : UNDECIDED, "%s: %s", tagtrust_error_name(error),
                     tagtrust_error_message(error));
    tagtrust_error_free(error);
    return result;
}

static int trusted(const tagtrust_image *image, const char *digest) {
    char signers[MAX_REASON / 2] = "";
    size_t length = 0;

    /* The library was asked for this digest: to be sure. */
    if (strcmp(tagtrust_image_digest(image), digest) != 0)
        return say(REFUSED, "%s was signed, not %s", tagtrust_image_digest(image), digest);
    for (size_t i = 0; i < tagtrust_image_signer_count(image) && length < sizeof signers; i++)
        length += (size_t)snprintf(signers + length, sizeof signers - length, "%s%s", i ? ", " : " by ",
                                   tagtrust_image_signer(image, i));
    return say(TRUSTED, "%s is signed in %s%s%s", tagtrust_image_pinned_reference(image), tagtrust_image_role(image),
               signers, tagtrust_image_fresh(image) ? "" : ", by cached trust data: the server cannot be asked");
}

static int verify(const tagtrust_client *client, const struct question *question) {
    tagtrust_image *image;
    tagtrust_error *error;
    bool has_digest = strchr(question->name, '@') != NULL;
    size_t length = strlen(question->name) + 1 + strlen(question->digest) + 1;
    char *reference = malloc(length);
    int result;

    if (reference == NULL)
        return say(UNDECIDED, "there is no memory");
    snprintf(reference, length, "%s%s%s", question->name, has_digest ? "" : "@", has_digest ? "" : question->digest);
    if (tagtrust_client_verify(client, reference, &image, &error) == TAGTRUST_OK)
        result = trusted(image, question->digest);
    else
        result = failed(error);
    tagtrust_image_free(image);
    free(reference);
    return result;
}

static int judge(const struct settings *settings, const struct question *question) {
    const char *digest = strchr(question->name, '@');
    const char *wrong;
    size_t length;
    tagtrust_client *client;
    tagtrust_error *error;
    int result;

    if (!is_digest(question->digest))
        return say(REFUSED, "the digest is not sha256: and 64 hexadecimal digits");
    if (!is_full_name(question->name, &length))
        return say(REFUSED, "the name is not a registry, a repository, and a tag or digest: %s", question->name);
    if (digest && strcmp(digest + 1, question->digest) != 0)
        return say(REFUSED, "%s was resolved to another digest, %s", question->name, question->digest);
    /* Before exemptions: settings that cannot be used let nothing through. */
    if (tagtrust_client_new(settings->library, &client, &error) != TAGTRUST_OK)
        return failed(error);
    /* Stricter: the library can do without it for what it has seen before. */
    if ((wrong = try_directory(settings->trust_dir)))
        result = say(UNDECIDED, "the trust directory %s cannot be used: %s", settings->trust_dir, wrong);
    else if (is_exempt(settings, question->name, length))
        result = say(TRUSTED, "%.*s is exempt by %s, and not verified", (int)length, question->name, settings->file);
    else
        result = verify(client, question);
    tagtrust_client_free(client);
    return result;
}

int main(int argc, char **argv) {
    static struct settings settings = {.trust_dir = DEFAULT_TRUST_DIR, .timeout = DEFAULT_TIMEOUT};
    struct question question = {NULL, NULL};
    const char *file = getenv(CONFIG_VARIABLE), *wrong;
    int result;

    end_after(DEFAULT_TIMEOUT + 1);
    if (!has_standard_files())
        return UNDECIDED;
    if (!read_arguments(argc, argv, &question))
        return say(MISUSED, "usage: tagtrust-containerd -name REF -digest DIGEST -stdin-media-type TYPE");

    settings.file = file ? file : DEFAULT_CONFIG;
    /* Docker's variables are meant for users, not for what containerd inherited. */
    unsetenv("DOCKER_CONFIG");
    unsetenv("DOCKER_CONTENT_TRUST_SERVER");
    result = read_settings(&settings);
    if (result == TRUSTED) {
        end_after(settings.timeout + 1);
        wrong = read_descriptor();
        result = wrong ? say(MISUSED, "%s", wrong) : judge(&settings, &question);
    }
    tagtrust_config_free(settings.library);
    free(settings.text);
    return result;
}
