/*
 * driver.c - runs a fuzz target without libFuzzer: over files, over the files of folders, or over stdin.
 *
 * Each input lies in a heap buffer of its exact size, so that AddressSanitizer sees every overrun. Besides the input as
 * it is, its
 * prefixes and single-bit flips are run (bounded), so that the seeds alone already reach the error paths.
 * Ends with the number of inputs; no input at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)
#define VARIANTS 512u /* of each input: at most so many prefixes and as many flips */

static unsigned inputs;

static void run(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) {
        abort();
    }
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(n ? exact : exact + 1, n);
    free(exact);
}

static void run_variants(uint8_t *data, size_t n)
{
    size_t step = n / VARIANTS + 1;
    run(data, n);
    for (size_t i = 0; i < n; i += step) {
        run(data, i);
        data[i] ^= (uint8_t)(1u << (i % 8));
        run(data, n);
        data[i] ^= (uint8_t)(1u << (i % 8));
    }
    inputs++;
}

static void run_stream(FILE *f)
{
    uint8_t *data = malloc(INPUT_MAX);
    if (!data) {
        abort();
    }
    run_variants(data, fread(data, 1, INPUT_MAX, f));
    free(data);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    run_stream(f);
    fclose(f);
    return 0;
}

static int run_path(const char *path)
{
    struct stat st;
    char name[4096];
    int error = 0;
    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) {
        return run_file(path);
    }
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return -1;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            error |= run_file(name);
        }
    }
    closedir(dir);
    return error;
}

int main(int argc, char **argv)
{
    int error = 0;
    for (int i = 1; i < argc; i++) {
        error |= run_path(argv[i]);
    }
    if (argc == 1) {
        run_stream(stdin);
    }
    printf("%u inputs\n", inputs);
    return error || !inputs;
}
