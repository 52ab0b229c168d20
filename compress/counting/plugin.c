/* A plugin of QEMU (API 1) that counts the instructions of one inference by kind.
 *
 * The guest asks for its parent (getppid) where it wants to know; each time a line is written to
 * the file of the argument "out": the counts since the start, in the order of kinds.h. Blocks are
 * sorted when they are translated, and add their counts whenever they run. One thread alone is
 * counted exactly.
 *
 * Debian packages no header of this API, so what is used is declared here, as QEMU documents it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kinds.h"

enum { API = 1, GETPPID = 173, ADD = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
typedef uint64_t plugin_id;

typedef void (*on_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_syscall)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = API;

static uint64_t counts[KINDS];
static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    uint64_t own[KINDS] = {0};
    size_t length = qemu_plugin_tb_n_insns(block);
    (void)id;
    for (size_t i = 0; i < length; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        own[kind_of(word)]++;
    }
    for (int kind = 0; kind < KINDS; kind++)
        if (own[kind])
            qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &counts[kind], own[kind]);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c,
                   uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != GETPPID)
        return;
    for (int kind = 0; kind < KINDS; kind++)
        fprintf(out, "%s=%" PRIu64 " ", kind_names[kind], counts[kind]);
    fputc('\n', out);
    fflush(out);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(plugin_id id, const struct qemu_info_t *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++)
        if (strncmp(arguments[i], "out=", 4) == 0)
            out = fopen(arguments[i] + 4, "w");
    if (!out)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
