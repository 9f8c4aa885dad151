/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run-corpus.c - a fuzz target as an ordinary test: every file of the corpus folder goes through it once, and every
 * prefix of each as well (input cut anywhere). With libFuzzer (-Dfuzz=true) this file is not linked. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX_BYTES (1U << 20)
/* All prefixes of short files; of long ones, every step-th, so that a corpus takes seconds. */
#define PREFIXES_MAX 512U

static size_t read_file(const char *path, uint8_t *buf) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return 0;
    }
    size_t n = fread(buf, 1, FILE_MAX_BYTES, f);
    (void) fclose(f);
    return n;
}

/* An own heap block of the exact size, so that ASan sees one byte too many. */
static void run_exact(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        copy[i] = data[i];
    }
    (void) LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void) fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    uint8_t *buf = malloc(FILE_MAX_BYTES);
    unsigned files = 0;
    if (dir == NULL || buf == NULL) {
        (void) fprintf(stderr, "cannot read corpus %s\n", argv[1]);
        return 1;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char path[4096];
        if (e->d_name[0] == '.') {
            continue;
        }
        (void) snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        size_t n = read_file(path, buf);
        size_t step = n / PREFIXES_MAX + 1;
        for (size_t cut = 0; cut < n; cut += step) {
            run_exact(buf, cut);
        }
        run_exact(buf, n);
        files++;
    }
    free(buf);
    (void) closedir(dir);
    (void) printf("1..1\nok 1 - %u corpus files and their prefixes\n", files);
    return files > 0 ? 0 : 1;
}
