/* Counts every allocation that Python's allocators are asked for, also those that are freed at once: for test_allocations.py. */
#include <Python.h>

static PyMemAllocatorEx original[3];
static long long count;

static void *counting_malloc(void *context, size_t size) {
    count++;
    return ((PyMemAllocatorEx *)context)->malloc(((PyMemAllocatorEx *)context)->ctx, size);
}

static void *counting_calloc(void *context, size_t number, size_t size) {
    count++;
    return ((PyMemAllocatorEx *)context)->calloc(((PyMemAllocatorEx *)context)->ctx, number, size);
}

static void *counting_realloc(void *context, void *block, size_t size) {
    count++;
    return ((PyMemAllocatorEx *)context)->realloc(((PyMemAllocatorEx *)context)->ctx, block, size);
}

static void counting_free(void *context, void *block) {
    ((PyMemAllocatorEx *)context)->free(((PyMemAllocatorEx *)context)->ctx, block);
}

static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

void start_counting(void) {
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator(domains[i], &original[i]);
        PyMemAllocatorEx counting = {&original[i], counting_malloc, counting_calloc, counting_realloc, counting_free};
        PyMem_SetAllocator(domains[i], &counting);
    }
    count = 0;
}

long long stop_counting(void) {
    long long counted = count;
    for (int i = 0; i < 3; i++)
        PyMem_SetAllocator(domains[i], &original[i]);
    return counted;
}
